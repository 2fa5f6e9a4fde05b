// SPDX-License-Identifier: Apache-2.0
// Key material: wiped when it goes, never printed, never compared with ==, and
// kept out of core files and swap where the kernel allows it.
//
// Thread safety: immutable after it is filled.
#pragma once

#include "base/bytes.h"
#include "base/random.h"

namespace morsel {

inline constexpr size_t kKeySize = 32;

// A 256-bit key.
class SecretKey {
 public:
  SecretKey() = default;  // all zero: to be filled
  // Requires: kKeySize bytes.
  explicit SecretKey(ByteSpan bytes);
  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&& other) noexcept;
  ~SecretKey();

  static SecretKey Generate(Random& random);
  SecretKey Clone() const { return SecretKey(bytes()); }

  ByteSpan bytes() const { return bytes_; }
  MutableByteSpan mutable_bytes() { return bytes_; }

 private:
  std::array<std::byte, kKeySize> bytes_{};
};

// A secret of any length in pages of its own: locked, excluded from core dumps
// (MADV_DONTDUMP), and wiped. For key tables and configurations.
class SecretBuffer {
 public:
  SecretBuffer() = default;
  explicit SecretBuffer(size_t size);
  SecretBuffer(SecretBuffer&& other) noexcept;
  SecretBuffer& operator=(SecretBuffer&& other) noexcept;
  ~SecretBuffer();

  size_t size() const { return size_; }
  ByteSpan bytes() const { return {data_, size_}; }
  MutableByteSpan mutable_bytes() { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Overwrites in a way that the compiler keeps.
void Wipe(MutableByteSpan bytes);

}  // namespace morsel
