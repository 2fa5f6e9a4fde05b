// SPDX-License-Identifier: Apache-2.0
// SharedBytes: immutable bytes with shared ownership, so that a value is
// neither copied when it is read nor freed under its reader. ValueBuffer: the
// same memory while it is still being filled, for a caller that reads a value
// from a socket straight into its place.
//
// Thread safety: SharedBytes as an int (copies of one may be used by many
// threads); a ValueBuffer is owned by one thread.
#pragma once

#include <memory>
#include <utility>

#include "base/bytes.h"

namespace morsel {

class SharedBytes {
 public:
  SharedBytes() = default;
  // `owner` keeps `bytes` alive and unchanged.
  SharedBytes(std::shared_ptr<const void> owner, ByteSpan bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}

  static SharedBytes Copy(ByteSpan bytes);
  static SharedBytes Copy(std::string_view text) { return Copy(AsBytes(text)); }
  static SharedBytes Own(Bytes bytes);

  ByteSpan span() const { return bytes_; }
  std::string_view text() const { return AsText(bytes_); }
  size_t size() const { return bytes_.size(); }

 private:
  std::shared_ptr<const void> owner_;
  ByteSpan bytes_;
};

class ValueBuffer {
 public:
  ValueBuffer() = default;
  ValueBuffer(std::shared_ptr<std::byte> memory, size_t size)
      : memory_(std::move(memory)), size_(size) {}

  MutableByteSpan span() { return {memory_.get(), size_}; }
  // Nobody writes to it from here on.
  SharedBytes Share() && {
    const ByteSpan bytes(memory_.get(), size_);
    return {std::move(memory_), bytes};
  }

 private:
  std::shared_ptr<std::byte> memory_;
  size_t size_ = 0;
};

}  // namespace morsel
