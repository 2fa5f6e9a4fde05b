// SPDX-License-Identifier: Apache-2.0
// What a node of the zone cache keeps under a stripe's key: a header, then the
// stripe. The index stands here and not in the key (zonecache/ring.h).
//
//   offset  bytes
//        0      2  'M' 'z'
//        2      1  version, 1
//        3      1  index of the stripe: data from 0, then parity
//        4      4  stored length of the chunk
//        8      4  CRC32C over the chunk's name (32 bytes), the bytes 0 to 7,
//                  and the CRC32C of the stripe (4 bytes)
//       12         the stripe
//
// The checksum covers the name, so that a stripe under a wrong key is refused
// too. It guards against accidents; against malice the chunk's SHA-256 does.
//
// Thread safety: free functions.
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/result.h"
#include "chunk/name.h"

namespace morsel {

inline constexpr size_t kStripeHeaderSize = 12;
using StripeHeader = std::array<std::byte, kStripeHeaderSize>;

struct StripeView {
  uint32_t index = 0;
  uint32_t stored_length = 0;
  uint32_t checksum = 0;
  ByteSpan payload;  // within what was parsed
};

StripeHeader MakeStripeHeader(const ChunkName& name, uint32_t index,
                              uint32_t stored_length, ByteSpan payload);

// The checksum in a header.
uint32_t ChecksumIn(const StripeHeader& header);

// kCorrupt: no stripe of that chunk, or damaged: discard it.
Result<StripeView> ParseStripe(const ChunkName& name, ByteSpan value);

}  // namespace morsel
