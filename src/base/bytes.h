// SPDX-License-Identifier: Apache-2.0
// Bytes that are owned, borrowed, printed and decoded.
//
// A ByteSpan borrows and must not outlive what it points at; Bytes owns.
// Integers on disk and on the wire are little endian and go through
// LoadLe/StoreLe, never through a cast of a struct.
//
// Thread safety: free functions, no state.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"

namespace morsel {

using Bytes = std::vector<std::byte>;
using ByteSpan = std::span<const std::byte>;
using MutableByteSpan = std::span<std::byte>;

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;

inline ByteSpan AsBytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view AsText(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes CopyBytes(ByteSpan bytes) {
  return Bytes(bytes.begin(), bytes.end());
}

// Requires: at least sizeof(T) bytes at `from`.
template <typename T>
T LoadLe(const std::byte* from) {
  static_assert(std::is_unsigned_v<T> &&
                std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <typename T>
void StoreLe(std::byte* to, T value) {
  static_assert(std::is_unsigned_v<T> &&
                std::endian::native == std::endian::little);
  std::memcpy(to, &value, sizeof(T));
}

// True if every byte is zero. Runs at memory speed.
bool IsZero(ByteSpan bytes);

// Lower-case hexadecimal, and back. ParseHex: kInvalid if `text` is not
// exactly 2 * out.size() lower-case digits.
std::string ToHex(ByteSpan bytes);
Status ParseHex(std::string_view text, MutableByteSpan out);

// "14.2 MiB", "812 B": for people; --json prints plain numbers.
std::string HumanSize(uint64_t byte_count);

constexpr uint64_t RoundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}
constexpr uint64_t RoundDown(uint64_t value, uint64_t unit) {
  return value / unit * unit;
}

}  // namespace morsel
