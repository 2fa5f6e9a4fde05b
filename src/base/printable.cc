// SPDX-License-Identifier: Apache-2.0
#include "base/printable.h"

#include <cstdio>

namespace morsel {
namespace {

// The first byte of U+0080 to U+00BF, the first half of which is C1.
constexpr unsigned char kC1Lead = 0xc2;
constexpr unsigned char kC1End = 0xa0;

void AppendEscaped(unsigned char byte, std::string& text) {
  char escaped[8];
  std::snprintf(escaped, sizeof(escaped), "\\x%02x", unsigned{byte});
  text += escaped;
}

bool IsControl(unsigned char byte) { return byte < 0x20 || byte == 0x7f; }

bool IsC1(std::string_view text, size_t at) {
  if (static_cast<unsigned char>(text[at]) != kC1Lead || at + 1 >= text.size())
    return false;
  const auto next = static_cast<unsigned char>(text[at + 1]);
  return next >= 0x80 && next < kC1End;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (IsC1(text, i)) {
      AppendEscaped(byte, out);
      AppendEscaped(static_cast<unsigned char>(text[++i]), out);
    } else if (IsControl(byte)) {
      AppendEscaped(byte, out);
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string PrintableAscii(std::string_view text, size_t max_bytes) {
  std::string out;
  for (const char c : text.substr(0, max_bytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (IsControl(byte) || byte >= 0x80)
      AppendEscaped(byte, out);
    else
      out += c;
  }
  if (text.size() > max_bytes) out += "...";
  return out;
}

}  // namespace morsel
