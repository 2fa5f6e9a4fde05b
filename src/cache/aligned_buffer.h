// SPDX-License-Identifier: Apache-2.0
// Memory that starts on a block of a CacheDevice, as O_DIRECT wants it.
//
// Thread safety: owned by one thread.
#pragma once

#include <cstdlib>
#include <memory>

#include "base/check.h"
#include "cache/device.h"
#include "cache/shared_bytes.h"

namespace morsel {

class AlignedBuffer {
 public:
  // Rounded up to whole blocks; its content is undefined.
  explicit AlignedBuffer(size_t size)
      : size_(RoundUp(size, CacheDevice::kBlockBytes)),
        memory_(static_cast<std::byte*>(
                    std::aligned_alloc(CacheDevice::kBlockBytes, size_)),
                &std::free) {
    CHECK(memory_ != nullptr);
  }

  MutableByteSpan span() { return {memory_.get(), size_}; }
  size_t size() const { return size_; }
  // A part of it, which keeps all of it.
  SharedBytes Share(size_t offset, size_t length) && {
    const ByteSpan part(memory_.get() + offset, length);
    return {std::shared_ptr<const void>(std::move(memory_)), part};
  }

 private:
  size_t size_;
  std::unique_ptr<std::byte, void (*)(void*)> memory_;
};

}  // namespace morsel
