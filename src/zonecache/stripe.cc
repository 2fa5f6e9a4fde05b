// SPDX-License-Identifier: Apache-2.0
#include "zonecache/stripe.h"

#include <algorithm>

#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr std::byte kVersion{1};
constexpr size_t kIndexOffset = 3;
constexpr size_t kLengthOffset = 4;
constexpr size_t kChecksumOffset = 8;

uint32_t ChecksumOf(const ChunkName& name, ByteSpan head, ByteSpan payload) {
  std::array<std::byte, kDigestSize + kChecksumOffset + sizeof(uint32_t)> all;
  std::copy(name.digest().begin(), name.digest().end(), all.begin());
  std::copy_n(head.begin(), kChecksumOffset, all.begin() + kDigestSize);
  StoreLe<uint32_t>(&all[kDigestSize + kChecksumOffset], Crc32c(payload));
  return Crc32c(all);
}

Error Damaged(const ChunkName& name, const char* how) {
  return MakeError(Code::kCorrupt,
                   "stripe of chunk " + name.Short() + ": " + how);
}

}  // namespace

StripeHeader MakeStripeHeader(const ChunkName& name, uint32_t index,
                              uint32_t stored_length, ByteSpan payload) {
  StripeHeader header{std::byte{'M'}, std::byte{'z'}, kVersion};
  header[kIndexOffset] = static_cast<std::byte>(index);
  StoreLe<uint32_t>(&header[kLengthOffset], stored_length);
  StoreLe<uint32_t>(&header[kChecksumOffset],
                    ChecksumOf(name, header, payload));
  return header;
}

uint32_t ChecksumIn(const StripeHeader& header) {
  return LoadLe<uint32_t>(&header[kChecksumOffset]);
}

Result<StripeView> ParseStripe(const ChunkName& name, ByteSpan value) {
  if (value.size() <= kStripeHeaderSize) return Damaged(name, "too short");
  if (value[0] != std::byte{'M'} || value[1] != std::byte{'z'} ||
      value[2] != kVersion)
    return Damaged(name, "no header of version 1");
  const ByteSpan payload = value.subspan(kStripeHeaderSize);
  if (LoadLe<uint32_t>(&value[kChecksumOffset]) !=
      ChecksumOf(name, value, payload))
    return Damaged(name, "its checksum is wrong");
  return StripeView{static_cast<uint32_t>(value[kIndexOffset]),
                    LoadLe<uint32_t>(&value[kLengthOffset]),
                    LoadLe<uint32_t>(&value[kChecksumOffset]), payload};
}

}  // namespace morsel
