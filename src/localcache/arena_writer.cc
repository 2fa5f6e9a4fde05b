// SPDX-License-Identifier: Apache-2.0
#include "localcache/arena_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"

namespace morsel {
namespace {

// Nothing that is written to the slot or its pieces afterwards is seen before
// the odd generation is.
void MarkChanging(ArenaSlot& slot) {
  const uint64_t generation = slot.generation.load(std::memory_order_relaxed);
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer knows no fences.
  slot.generation.store(generation | 1, std::memory_order_seq_cst);
#else
  slot.generation.store(generation | 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

// Requires: an odd generation. All that was written is seen before it.
void MarkStable(ArenaSlot& slot) {
  slot.generation.fetch_add(1, std::memory_order_release);
}

ChunkName NameOf(const ArenaSlot& slot) {
  NameWords words;
  for (size_t i = 0; i < words.size(); ++i)
    words[i] = slot.name[i].load(std::memory_order_relaxed);
  return ChunkName(std::bit_cast<Digest>(words));
}

CacheKey KeyOf(const ChunkName& name) {
  return CacheKey::OfHash(name.digest());
}

// An open file of one's own, as a lock belongs to the open file, and the one
// that was handed over stays with who handed it.
Result<Fd> Reopen(const Fd& file, int flags) {
  return OpenFile("/proc/self/fd/" + std::to_string(file.get()), flags);
}

// A signal interrupts fallocate on a tmpfs.
Status Allocate(int fd, uint64_t offset, uint64_t byte_count) {
  while (fallocate(fd, 0, static_cast<off_t>(offset),
                   static_cast<off_t>(byte_count)) != 0)
    if (errno != EINTR) return ErrnoError(errno, "arena: allocate memory");
  return Ok();
}

}  // namespace

ArenaWriter::ArenaWriter(const ArenaOptions& options, Clock& clock)
    : options_(options), clock_(clock), policy_(MakePolicy(options.policy)) {}

Result<std::unique_ptr<ArenaWriter>> ArenaWriter::Open(
    const Fd& file, uint64_t limit_bytes, const ArenaOptions& options,
    Clock& clock) {
  ASSIGN_OR_RETURN(const ArenaGeometry geometry,
                   ArenaGeometry::ForLimit(limit_bytes));
  std::unique_ptr<ArenaWriter> writer(new ArenaWriter(options, clock));
  ASSIGN_OR_RETURN_AS(writer->file_, Reopen(file, O_RDWR), "arena");
  ASSIGN_OR_RETURN_AS(writer->reader_file_, Reopen(file, O_RDONLY), "arena");
  const int fd = writer->file_.get();
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return MakeError(Code::kUnavailable,
                       "arena: another local cache daemon holds it");
    return ErrnoError(errno, "arena: flock");
  }
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(fd));
  if (size != 0 && size != geometry.file_bytes)
    return MakeError(Code::kExists, "arena: it has another size");
  if (size == 0 && ftruncate(fd, static_cast<off_t>(geometry.file_bytes)) != 0)
    return ErrnoError(errno, "arena: ftruncate");
  ASSIGN_OR_RETURN_AS(writer->mapping_,
                      SharedMapping::Map(fd, geometry.file_bytes,
                                         SharedMapping::Access::kReadWrite),
                      "arena");
  writer->map_ = {writer->mapping_.base(), geometry};
  RETURN_IF_ERROR(size == 0 ? writer->Begin() : writer->Adopt());
  return writer;
}

// The magic comes last: an arena whose daemon died here is nobody's.
Status ArenaWriter::Begin() {
  const ArenaGeometry& geometry = map_.geometry;
  RETURN_IF_ERROR(Allocate(file_.get(), 0, geometry.slots_offset));
  ArenaHeader& header = map_.header();
  header.version = kArenaVersion;
  header.slot_bytes = sizeof(ArenaSlot);
  header.file_bytes = geometry.file_bytes;
  header.piece_count = geometry.piece_count;
  header.bucket_count = geometry.bucket_count;
  header.slots_offset = geometry.slots_offset;
  header.pieces_offset = geometry.pieces_offset;
  header.magic = kArenaMagic;
  MutexLock lock(mutex_);
  uses_.assign(geometry.piece_count, Use::kFree);
  // No resizing by anyone from here on; only memory files can be sealed.
  (void)fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
  return Ok();
}

Status ArenaWriter::Adopt() {
  const ArenaGeometry& geometry = map_.geometry;
  ArenaHeader& header = map_.header();
  if (!geometry.Matches(header))
    return MakeError(Code::kExists, "arena: it has another layout");
  MutexLock lock(mutex_);
  allocated_ = header.allocated_pieces.load(std::memory_order_relaxed);
  if (allocated_ > geometry.piece_count)
    return MakeError(Code::kExists, "arena: its header is damaged");
  for (uint32_t bucket = 0; bucket < geometry.bucket_count; ++bucket)
    for (uint32_t i = 0; i < kBucketWords; ++i)
      map_.Bucket(bucket)[i].store(0, std::memory_order_relaxed);
  uses_.assign(geometry.piece_count, Use::kFree);
  std::vector<bool> taken(allocated_, false);
  for (uint32_t slot = allocated_; slot-- > 0;) {
    if (AdoptSlot(slot, taken)) continue;
    if (map_.Slot(slot).generation.load(std::memory_order_relaxed) != 0)
      MarkChanging(map_.Slot(slot));
    free_slots_.push_back(slot);
  }
  for (uint32_t piece = allocated_; piece-- > 0;)
    if (!taken[piece]) free_pieces_.push_back(piece);
  return Ok();
}

// Takes over a slot that is stable and whose pieces are nobody else's.
bool ArenaWriter::AdoptSlot(uint32_t number, std::vector<bool>& taken) {
  const ArenaSlot& slot = map_.Slot(number);
  if (!IsStable(slot.generation.load(std::memory_order_acquire))) return false;
  const uint32_t stored = slot.stored_length.load(std::memory_order_relaxed);
  if (stored == 0 || stored > kChunkSize || stored % kPageSize != 0)
    return false;
  const uint32_t count = PiecesFor(stored);
  const ChunkName name = NameOf(slot);
  if (by_key_.contains(KeyOf(name))) return false;
  std::vector<uint32_t> pieces;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t piece = slot.pieces[i].load(std::memory_order_relaxed);
    if (piece >= allocated_ || taken[piece] ||
        std::find(pieces.begin(), pieces.end(), piece) != pieces.end())
      return false;
    pieces.push_back(piece);
  }
  for (const uint32_t piece : pieces) taken[piece] = true;
  uses_[number] = Use::kShown;
  by_key_.emplace(KeyOf(name), number);
  policy_->Insert(KeyOf(name), stored, clock_.Now());
  chunk_bytes_ += stored;
  ShowInIndex(number);
  return true;
}

bool ArenaWriter::Grow() {
  const ArenaGeometry& geometry = map_.geometry;
  if (growth_failed_ || allocated_ == geometry.piece_count) return false;
  const uint64_t begin =
      geometry.pieces_offset + uint64_t{allocated_} * kPieceSize;
  const uint64_t end =
      std::min(RoundDown(begin, kArenaStep) + kArenaStep, geometry.file_bytes);
  const auto more = static_cast<uint32_t>((end - begin) / kPieceSize);
  const uint64_t slots_begin =
      geometry.slots_offset + uint64_t{allocated_} * sizeof(ArenaSlot);
  if (!Allocate(file_.get(), slots_begin, more * sizeof(ArenaSlot)).ok() ||
      !Allocate(file_.get(), begin, end - begin).ok()) {
    growth_failed_ = true;
    LogWarn(
        "local cache cannot grow to its limit: no memory; give its tmpfs "
        "or memory cgroup more room, or lower local_cache.memory_bytes",
        {{"allocated", begin}, {"limit", geometry.file_bytes}});
    return false;
  }
  for (uint32_t number = allocated_ + more; number-- > allocated_;) {
    free_pieces_.push_back(number);
    free_slots_.push_back(number);
  }
  allocated_ += more;
  map_.header().allocated_pieces.store(allocated_, std::memory_order_release);
  return true;
}

// A free slot with `piece_count` free pieces written into it.
Result<uint32_t> ArenaWriter::Reserve(uint32_t piece_count) {
  while (free_pieces_.size() < piece_count || free_slots_.empty()) {
    if (free_pieces_.size() < piece_count && Grow()) continue;
    if (!EvictOne())
      return MakeError(Code::kExhausted,
                       "arena: no room, all of it is being written");
  }
  const uint32_t number = free_slots_.back();
  free_slots_.pop_back();
  ArenaSlot& slot = map_.Slot(number);
  MarkChanging(slot);
  for (uint32_t i = 0; i < piece_count; ++i) {
    slot.pieces[i].store(free_pieces_.back(), std::memory_order_relaxed);
    free_pieces_.pop_back();
  }
  slot.stored_length.store(piece_count * kPieceSize, std::memory_order_relaxed);
  uses_[number] = Use::kWriting;
  return number;
}

bool ArenaWriter::EvictOne() {
  const std::optional<CacheKey> victim = policy_->Evict(clock_.Now());
  if (!victim.has_value()) return false;
  const auto it = by_key_.find(*victim);
  CHECK(it != by_key_.end());
  Evict(it->second);
  return true;
}

void ArenaWriter::Evict(uint32_t number) {
  const ChunkName name = NameOf(map_.Slot(number));
  if (options_.take_evicted && options_.wants_evicted(name))
    options_.take_evicted(name, CopyOut(number));
  Release(number);
  ++evictions_;
}

// Odd first, then its pieces are free for others.
void ArenaWriter::Release(uint32_t number) {
  ArenaSlot& slot = map_.Slot(number);
  MarkChanging(slot);
  const uint32_t stored = slot.stored_length.load(std::memory_order_relaxed);
  if (uses_[number] != Use::kWriting) {
    HideFromIndex(number);
    by_key_.erase(KeyOf(NameOf(slot)));
    chunk_bytes_ -= stored;
  }
  for (uint32_t i = 0; i < PiecesFor(stored); ++i)
    free_pieces_.push_back(slot.pieces[i].load(std::memory_order_relaxed));
  uses_[number] = Use::kFree;
  free_slots_.push_back(number);
}

std::optional<uint32_t> ArenaWriter::Find(const ChunkName& name) const {
  const auto it = by_key_.find(KeyOf(name));
  if (it == by_key_.end() || NameOf(map_.Slot(it->second)) != name)
    return std::nullopt;
  return it->second;
}

Bytes ArenaWriter::CopyOut(uint32_t number) const {
  const ArenaSlot& slot = map_.Slot(number);
  const uint32_t stored = slot.stored_length.load(std::memory_order_relaxed);
  Bytes bytes;
  bytes.reserve(stored);
  for (uint32_t i = 0; i < PiecesFor(stored); ++i) {
    const std::byte* piece =
        map_.Piece(slot.pieces[i].load(std::memory_order_relaxed));
    bytes.insert(bytes.end(), piece,
                 piece + std::min(kPieceSize, stored - i * kPieceSize));
  }
  return bytes;
}

void ArenaWriter::ShowInIndex(uint32_t number) {
  const uint64_t hash =
      map_.Slot(number).name[0].load(std::memory_order_relaxed);
  ArenaWord* bucket = map_.Bucket(hash);
  ArenaWord* place = nullptr;
  for (uint32_t i = 0; i < kBucketWords && place == nullptr; ++i)
    if (bucket[i].load(std::memory_order_relaxed) == 0) place = &bucket[i];
  if (place == nullptr) {
    // The bucket is full: one of its chunks goes.
    place = &bucket[number % kBucketWords];
    const uint32_t other =
        static_cast<uint32_t>(place->load(std::memory_order_relaxed)) - 1;
    policy_->Remove(KeyOf(NameOf(map_.Slot(other))));
    Evict(other);
  }
  place->store(IndexWord(hash, number), std::memory_order_release);
}

void ArenaWriter::HideFromIndex(uint32_t number) {
  const uint64_t hash =
      map_.Slot(number).name[0].load(std::memory_order_relaxed);
  ArenaWord* bucket = map_.Bucket(hash);
  for (uint32_t i = 0; i < kBucketWords; ++i)
    if (bucket[i].load(std::memory_order_relaxed) == IndexWord(hash, number))
      bucket[i].store(0, std::memory_order_release);
}

void ArenaWriter::Fill(uint32_t number, const ChunkName& name,
                       ByteSpan ciphertext) {
  ArenaSlot& slot = map_.Slot(number);
  const NameWords words = WordsOf(name);
  for (size_t i = 0; i < words.size(); ++i)
    slot.name[i].store(words[i], std::memory_order_relaxed);
  for (auto& hint : slot.hints) hint.store(0, std::memory_order_relaxed);
  for (uint32_t page = 0; page * kPageSize < ciphertext.size(); ++page)
    slot.crcs[page].store(
        Crc32c(ciphertext.subspan(page * kPageSize, kPageSize)),
        std::memory_order_relaxed);
  for (uint32_t i = 0; i * kPieceSize < ciphertext.size(); ++i) {
    const ByteSpan rest = ciphertext.subspan(i * kPieceSize);
    std::memcpy(map_.Piece(slot.pieces[i].load(std::memory_order_relaxed)),
                rest.data(), std::min<size_t>(rest.size(), kPieceSize));
  }
}

Status ArenaWriter::Put(const ChunkName& name, ByteSpan ciphertext) {
  CHECK(!ciphertext.empty() && ciphertext.size() <= kChunkSize &&
        ciphertext.size() % kPageSize == 0);
  const auto length = static_cast<uint32_t>(ciphertext.size());
  const CacheKey key = KeyOf(name);
  uint32_t number = 0;
  {
    MutexLock lock(mutex_);
    if (by_key_.contains(key)) return Ok();
    ASSIGN_OR_RETURN(number, Reserve(PiecesFor(length)));
  }
  Fill(number, name, ciphertext);
  MutexLock lock(mutex_);
  if (by_key_.contains(key)) {
    Release(number);
    return Ok();
  }
  map_.Slot(number).stored_length.store(length, std::memory_order_relaxed);
  ShowInIndex(number);
  MarkStable(map_.Slot(number));
  uses_[number] = Use::kShown;
  by_key_.emplace(key, number);
  policy_->Insert(key, length, clock_.Now());
  chunk_bytes_ += length;
  return Ok();
}

bool ArenaWriter::Contains(const ChunkName& name,
                           uint32_t stored_length) const {
  MutexLock lock(mutex_);
  const std::optional<uint32_t> number = Find(name);
  return number.has_value() && map_.Slot(*number).stored_length.load(
                                   std::memory_order_relaxed) == stored_length;
}

// Under the lock, so that nobody gives the pieces away meanwhile.
Result<Bytes> ArenaWriter::Read(const ChunkName& name) const {
  MutexLock lock(mutex_);
  const std::optional<uint32_t> number = Find(name);
  if (!number.has_value())
    return MakeError(Code::kNotFound,
                     "chunk " + name.Short() + " is not in the local cache");
  return CopyOut(*number);
}

bool ArenaWriter::PagesFit(uint32_t number, ByteSpan bytes) const {
  const ArenaSlot& slot = map_.Slot(number);
  for (uint32_t page = 0; page * kPageSize < bytes.size(); ++page)
    if (Crc32c(bytes.subspan(page * kPageSize, kPageSize)) !=
        slot.crcs[page].load(std::memory_order_relaxed))
      return false;
  return true;
}

SlotCheck ArenaWriter::Check(const ChunkName& name) {
  const auto bytes = Read(name);
  if (!bytes.ok()) return SlotCheck::kAbsent;
  const bool is_good = name.Matches(*bytes);
  MutexLock lock(mutex_);
  const std::optional<uint32_t> number = Find(name);
  if (!number.has_value()) return SlotCheck::kAbsent;
  if (is_good && PagesFit(*number, *bytes)) return SlotCheck::kGood;
  policy_->Remove(KeyOf(name));
  Release(*number);
  return SlotCheck::kDropped;
}

void ArenaWriter::Touch(std::span<const uint32_t> slots) {
  MutexLock lock(mutex_);
  const auto now = clock_.Now();
  for (const uint32_t slot : slots)
    if (slot < uses_.size() && uses_[slot] == Use::kShown)
      policy_->Hit(KeyOf(NameOf(map_.Slot(slot))), now);
}

ArenaStats ArenaWriter::Stats() const {
  MutexLock lock(mutex_);
  const uint64_t metadata = RoundUp(
      map_.geometry.slots_offset + uint64_t{allocated_} * sizeof(ArenaSlot),
      uint64_t{kPageSize});
  return {map_.geometry.file_bytes,
          metadata + uint64_t{allocated_} * kPieceSize, by_key_.size(),
          chunk_bytes_, evictions_};
}

}  // namespace morsel
