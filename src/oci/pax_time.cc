// SPDX-License-Identifier: Apache-2.0
#include "oci/pax_time.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace morsel {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kSizeAt = 124;
constexpr size_t kSizeDigits = 11;
constexpr size_t kTypeAt = 156;
// Types of blocks that come before an entry's own: pax records of Solaris, of
// all entries and of one, GNU's long names and the label of a volume.
constexpr std::string_view kBefore = "XgxLKV";

std::string_view TextOf(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The number that the text begins with, 0 if none.
uint64_t NumberAt(std::string_view text, int base) {
  const size_t begin = std::min(text.find_first_not_of(" 0"), text.size());
  text.remove_prefix(begin);
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number, base);
  return number;
}

// Looks through records "LENGTH KEY=VALUE\n"; the last of a key counts.
void ReadRecords(std::string_view records, bool& negative) {
  while (!records.empty()) {
    const uint64_t length = NumberAt(records, 10);
    const size_t space = records.find(' ');
    if (length > records.size() || space >= length) return;
    const std::string_view record =
        records.substr(space + 1, length - space - 1);
    constexpr std::string_view kKey = "mtime=";
    if (record.starts_with(kKey)) {
      negative = record.substr(kKey.size()).starts_with('-');
    }
    records.remove_prefix(length);
  }
}

}  // namespace

bool HasNegativePaxTime(ByteSpan headers) {
  bool negative = false;
  while (headers.size() >= kBlock) {
    const std::string_view block = TextOf(headers.first(kBlock));
    const char type = block[kTypeAt];
    if (kBefore.find(type) == std::string_view::npos) break;
    const uint64_t size = NumberAt(block.substr(kSizeAt, kSizeDigits), 8);
    headers = headers.subspan(kBlock);
    if (size > headers.size()) break;
    if (type == 'x' || type == 'X') {
      ReadRecords(TextOf(headers.first(size)), negative);
    }
    headers = headers.subspan(std::min(RoundUp(size, kBlock), headers.size()));
  }
  return negative;
}

}  // namespace morsel
