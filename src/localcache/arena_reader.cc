// SPDX-License-Identifier: Apache-2.0
#include "localcache/arena_reader.h"

#include <sys/stat.h>

#include <cerrno>

namespace morsel {
namespace {

using Outcome = ArenaFind::Outcome;

}  // namespace

Result<std::unique_ptr<ArenaReader>> ArenaReader::Map(const Fd& arena) {
  struct stat info {};
  if (fstat(arena.get(), &info) != 0) return ErrnoError(errno, "arena: fstat");
  const auto size = static_cast<uint64_t>(info.st_size);
  const auto geometry = ArenaGeometry::ForLimit(size);
  if (!geometry.ok() || geometry->file_bytes != size)
    return MakeError(Code::kInvalid, "arena: no arena has this size");
  std::unique_ptr<ArenaReader> reader(new ArenaReader);
  ASSIGN_OR_RETURN_AS(
      reader->mapping_,
      SharedMapping::Map(arena.get(), size, SharedMapping::Access::kRead),
      "arena");
  reader->map_ = {reader->mapping_.base(), *geometry};
  if (!geometry->Matches(reader->map_.header()))
    return MakeError(Code::kInvalid,
                     "arena: its layout is not that of this program; use the "
                     "local cache of the same version");
  reader->device_ = info.st_dev;
  reader->inode_ = info.st_ino;
  return reader;
}

bool ArenaReader::IsSameFile(const Fd& arena) const {
  struct stat info {};
  return fstat(arena.get(), &info) == 0 && info.st_dev == device_ &&
         info.st_ino == inode_;
}

ArenaFind ArenaReader::Find(const ChunkRef& ref, uint32_t offset,
                            uint32_t length) const {
  const NameWords name = WordsOf(ref.name);
  const ArenaWord* bucket = map_.Bucket(name[0]);
  for (uint32_t probe = 0; probe < kBucketWords; ++probe) {
    const uint64_t word = bucket[probe].load(std::memory_order_acquire);
    const auto slot = static_cast<uint32_t>(word) - 1;
    if (word == 0 || word != IndexWord(name[0], slot) ||
        slot >= AllocatedPieces())
      continue;
    ArenaFind found = CheckSlot(slot, name, ref, offset, length);
    if (found.outcome != Outcome::kMiss) return found;
  }
  return {};
}

// None if the header says what cannot be.
uint32_t ArenaReader::AllocatedPieces() const {
  const uint32_t allocated =
      map_.header().allocated_pieces.load(std::memory_order_acquire);
  return allocated > map_.geometry.piece_count ? 0 : allocated;
}

// Every field is read once and checked before it is used: the slot may change
// under us, and only the generation tells, afterwards.
ArenaFind ArenaReader::CheckSlot(uint32_t number, const NameWords& name,
                                 const ChunkRef& ref, uint32_t offset,
                                 uint32_t length) const {
  const ArenaSlot& slot = map_.Slot(number);
  const uint64_t generation = slot.generation.load(std::memory_order_acquire);
  if (!IsStable(generation)) return {};
  for (size_t i = 0; i < name.size(); ++i)
    if (slot.name[i].load(std::memory_order_relaxed) != name[i]) return {};
  const uint32_t stored = slot.stored_length.load(std::memory_order_relaxed);
  if (stored != ref.stored_length || stored == 0 || stored > kChunkSize ||
      stored % kPageSize != 0)
    return {};
  const uint32_t allocated = AllocatedPieces();
  std::array<const std::byte*, kPiecesPerSlot> pieces{};
  for (uint32_t i = 0; i < PiecesFor(stored); ++i) {
    const uint32_t piece = slot.pieces[i].load(std::memory_order_relaxed);
    if (piece >= allocated) return {};
    pieces[i] = map_.Piece(piece);
  }
  ArenaFind found{Outcome::kHit, number,
                  ChunkView(pieces, stored, &slot.generation, generation,
                            slot.crcs.data())};
  if (length > 0 && !found.view->IsGood(offset, length)) {
    found.outcome =
        found.view->still_valid() ? Outcome::kBadPage : Outcome::kChanged;
    found.view.reset();
  }
  return found;
}

}  // namespace morsel
