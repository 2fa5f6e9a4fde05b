// SPDX-License-Identifier: Apache-2.0
#include "localcache/arena_layout.h"

namespace morsel {
namespace {

constexpr uint64_t kSmallest = 2 * kMiB;
constexpr uint64_t kLargest = 64 * 1024 * kGiB;

ArenaGeometry WithPieces(uint32_t count) {
  ArenaGeometry geometry;
  geometry.piece_count = count;
  // A word for each slot would need an eighth as many buckets as slots; four
  // times that and more keeps full buckets rare.
  geometry.bucket_count = std::bit_ceil(count / 2 + 1);
  geometry.slots_offset =
      kPageSize + uint64_t{geometry.bucket_count} * kBucketWords * 8;
  geometry.pieces_offset = RoundUp(
      geometry.slots_offset + uint64_t{count} * sizeof(ArenaSlot), kPieceSize);
  geometry.file_bytes = geometry.pieces_offset + uint64_t{count} * kPieceSize;
  return geometry;
}

}  // namespace

Result<ArenaGeometry> ArenaGeometry::ForLimit(uint64_t limit_bytes) {
  if (limit_bytes < kSmallest || limit_bytes > kLargest)
    return MakeError(Code::kInvalid,
                     "an arena of " + HumanSize(limit_bytes) +
                         " is not possible: between 2 MiB and 64 TiB");
  uint32_t low = 1;
  uint32_t high = static_cast<uint32_t>(limit_bytes / kPieceSize);
  while (low < high) {
    const uint32_t middle = low + (high - low + 1) / 2;
    if (WithPieces(middle).file_bytes <= limit_bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return WithPieces(low);
}

bool ArenaGeometry::Matches(const ArenaHeader& header) const {
  return header.magic == kArenaMagic && header.version == kArenaVersion &&
         header.slot_bytes == sizeof(ArenaSlot) &&
         header.file_bytes == file_bytes && header.piece_count == piece_count &&
         header.bucket_count == bucket_count &&
         header.slots_offset == slots_offset &&
         header.pieces_offset == pieces_offset;
}

}  // namespace morsel
