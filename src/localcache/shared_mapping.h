// SPDX-License-Identifier: Apache-2.0
// A shared mapping of a file, with an owner.
//
// Thread safety: owned by one thread; the memory is what it is.
#pragma once

#include <cstddef>
#include <utility>

#include "base/result.h"

namespace morsel {

class SharedMapping {
 public:
  enum class Access { kRead, kReadWrite };

  SharedMapping() = default;
  // kIo, kExhausted.
  static Result<SharedMapping> Map(int fd, size_t byte_count, Access access);
  SharedMapping(SharedMapping&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)),
        byte_count_(std::exchange(other.byte_count_, 0)) {}
  SharedMapping& operator=(SharedMapping&& other) noexcept;
  ~SharedMapping();

  // Puts another file of the same size in the place of this one, at the same
  // address and in one step: pointers into it stay good.
  Status ReplaceWith(int fd, Access access);

  std::byte* base() const { return base_; }

 private:
  std::byte* base_ = nullptr;
  size_t byte_count_ = 0;
};

}  // namespace morsel
