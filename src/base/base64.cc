// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <algorithm>

namespace morsel {
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string ToBase64(ByteSpan bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 |
              (k < count ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k)
      out += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

Result<Bytes> FromBase64(std::string_view text) {
  const Error bad = MakeError(Code::kInvalid, "that is no base64");
  if (text.size() % 4 != 0) return bad;
  Bytes out;
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t group = 0;
    size_t padding = 0;
    for (const char c : text.substr(i, 4)) {
      const size_t digit = kDigits.find(c);
      if (c == '=' && i + 4 == text.size())
        ++padding;
      else if (digit == std::string_view::npos || padding > 0)
        return bad;
      group = group << 6 | (c == '=' ? 0 : static_cast<uint32_t>(digit));
    }
    if (padding > 2 || (group & ((1U << (8 * padding)) - 1)) != 0) return bad;
    for (size_t k = 0; k + padding < 3; ++k)
      out.push_back(static_cast<std::byte>(group >> (16 - 8 * k)));
  }
  return out;
}

}  // namespace morsel
