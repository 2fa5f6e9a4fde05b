// SPDX-License-Identifier: Apache-2.0
// The arena's shared file: what lies where (docs/formats.md, "Arena").
//
//   header   one page: magic, layout version, sizes, how many pieces exist
//   index    64-bit words in buckets of 8 (one cache line): hints
//   slots    one for each piece: generation, name, length, pieces, CRCs
//   pieces   64 KiB each: ciphertext
//
// The file lies on a tmpfs and is as long as its limit from the start. Header
// and index are allocated at once, pieces with their slots in steps, front to
// back, and nothing is given back. Reading what is not allocated would take
// memory (or SIGBUS on a full tmpfs), so readers look at `allocated_pieces`
// first.
//
// The generation says what a slot is: odd: free, or being changed; 0: never
// used; else: stable. It only grows. The writer makes it odd before it changes
// anything of the slot or of its pieces, and even when all is in place; who
// finds the same even number before and after has read one stable chunk (a
// sequence lock; Boehm, "Can Seqlocks Get Along With Programming Language
// Memory Models?", MSPC 2012).
//
// All of it is memory shared by processes of one machine and one build, hence
// structs of lock-free atomics, and not the byte-wise encoding of files that
// travel. Any change here is a new kArenaVersion.
//
// Thread safety: as said for each field.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "chunk/chunk_source.h"
#include "chunk/name.h"

namespace morsel {

inline constexpr uint64_t kArenaMagic = 0x31616e6572416c4d;  // "MlArena1"
inline constexpr uint32_t kArenaVersion = 2;
inline constexpr uint32_t kPieceSize = ChunkView::kPieceSize;
inline constexpr uint32_t kPiecesPerSlot = ChunkView::kMaxPieces;
inline constexpr uint32_t kBucketWords = 8;
inline constexpr uint64_t kArenaStep = 16 * kMiB;

struct ArenaHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t slot_bytes;
  uint64_t file_bytes;
  uint32_t piece_count;  // also the number of slots
  uint32_t bucket_count;
  uint64_t slots_offset;
  uint64_t pieces_offset;
  // Pieces and slots below this number may be touched. Written by the daemon.
  std::atomic<uint32_t> allocated_pieces;
  uint32_t reserved;
};

struct alignas(64) ArenaSlot {
  std::atomic<uint64_t> generation;
  std::atomic<uint32_t> stored_length;
  std::atomic<uint32_t> reserved;
  std::array<std::atomic<uint64_t>, kDigestSize / 8> name;
  std::array<std::atomic<uint32_t>, kPiecesPerSlot> pieces;
  // The daemon's notes on uses; mean nothing to readers.
  std::array<std::atomic<uint64_t>, 2> hints;
  // CRC32C of each page of 4 KiB.
  std::array<std::atomic<uint32_t>, kPagesPerChunk> crcs;
};

// (upper half of the name's hash << 32) | slot + 1; 0 is empty.
using ArenaWord = std::atomic<uint64_t>;

static_assert(sizeof(ArenaSlot) == 640 && sizeof(ArenaHeader) <= kPageSize);
static_assert(offsetof(ArenaHeader, file_bytes) == 16 &&
              offsetof(ArenaHeader, slots_offset) == 32 &&
              offsetof(ArenaHeader, allocated_pieces) == 48);
static_assert(offsetof(ArenaSlot, name) == 16 &&
              offsetof(ArenaSlot, pieces) == 48 &&
              offsetof(ArenaSlot, crcs) == 96);
static_assert(std::atomic<uint64_t>::is_always_lock_free &&
              sizeof(ArenaWord) == 8);

// The sizes of an arena; all of them follow from its limit.
struct ArenaGeometry {
  uint64_t file_bytes = 0;
  uint32_t piece_count = 0;
  uint32_t bucket_count = 0;
  uint64_t slots_offset = 0;
  uint64_t pieces_offset = 0;

  // The largest arena within `limit_bytes`; ForLimit(file_bytes) gives the
  // same again. kInvalid: under 2 MiB or over 64 TiB.
  static Result<ArenaGeometry> ForLimit(uint64_t limit_bytes);
  bool Matches(const ArenaHeader& header) const;
};

// Views of a mapped arena; `Byte` is const for readers.
template <typename Base>
struct ArenaMap {
  using Byte = Base;
  template <typename T>
  using Of = std::conditional_t<std::is_const_v<Base>, const T, T>;

  Byte* base = nullptr;
  ArenaGeometry geometry;

  Of<ArenaHeader>& header() const {
    return *reinterpret_cast<Of<ArenaHeader>*>(base);
  }
  Of<ArenaWord>* Bucket(uint64_t hash) const {
    return reinterpret_cast<Of<ArenaWord>*>(base + kPageSize) +
           (hash & (geometry.bucket_count - 1)) * kBucketWords;
  }
  Of<ArenaSlot>& Slot(uint32_t slot) const {
    return reinterpret_cast<Of<ArenaSlot>*>(base + geometry.slots_offset)[slot];
  }
  Byte* Piece(uint32_t piece) const {
    return base + geometry.pieces_offset + uint64_t{piece} * kPieceSize;
  }
};

// The name as the four words of a slot; the first one is the hash.
using NameWords = std::array<uint64_t, kDigestSize / 8>;
inline NameWords WordsOf(const ChunkName& name) {
  return std::bit_cast<NameWords>(name.digest());
}
// `hash`'s bucket bits are its lowest, so the tag takes the highest.
inline uint64_t IndexWord(uint64_t hash, uint32_t slot) {
  return (hash & 0xffffffff00000000) | (uint64_t{slot} + 1);
}

inline bool IsStable(uint64_t generation) {
  return generation != 0 && (generation & 1) == 0;
}

inline uint32_t PiecesFor(uint32_t stored_length) {
  return (stored_length + kPieceSize - 1) / kPieceSize;
}

}  // namespace morsel
