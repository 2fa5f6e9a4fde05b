// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <array>
#include <cstdio>

namespace morsel {
namespace {

// The value of a lower-case hexadecimal digit, or -1.
int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool IsZero(ByteSpan bytes) {
  // Equal to itself shifted by one, and the first byte zero: memcmp is the
  // fastest loop that the C library has.
  if (bytes.empty()) return true;
  if (bytes[0] != std::byte{0}) return false;
  return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

std::string ToHex(ByteSpan bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    text.push_back(kDigits[static_cast<unsigned>(b) >> 4]);
    text.push_back(kDigits[static_cast<unsigned>(b) & 15]);
  }
  return text;
}

Status ParseHex(std::string_view text, MutableByteSpan out) {
  if (text.size() != out.size() * 2)
    return MakeError(Code::kInvalid, "hexadecimal text has the wrong length");
  for (size_t i = 0; i < out.size(); ++i) {
    const int high = HexDigit(text[2 * i]);
    const int low = HexDigit(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return MakeError(Code::kInvalid, "not lower-case hexadecimal");
    out[i] = static_cast<std::byte>(high * 16 + low);
  }
  return Ok();
}

std::string HumanSize(uint64_t byte_count) {
  static constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB",
                                                        "GiB", "TiB"};
  double value = static_cast<double>(byte_count);
  size_t unit = 0;
  // Bytes are printed whole, all else with one digit: 1023.95 KiB would round
  // to 1024.0 KiB.
  while (value >= (unit == 0 ? 1024 : 1023.95) && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s",
                value, kUnits[unit]);
  return text.data();
}

}  // namespace morsel
