// SPDX-License-Identifier: Apache-2.0
// The arena as the daemon sees it: the only writer.
//
// What is put here must have been verified: readers check CRCs, which find
// damage of memory, not malice. A policy of cache/ decides who makes room,
// LRU-K unless told otherwise; what readers used, it hears by Touch.
//
// Thread safety: thread-safe. Bytes are copied outside of the lock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "cache/policy.h"
#include "chunk/name.h"
#include "localcache/arena_layout.h"
#include "localcache/shared_mapping.h"

namespace morsel {

struct ArenaStats {
  uint64_t limit_bytes = 0;      // of the file, metadata included
  uint64_t allocated_bytes = 0;  // of it, really taken
  uint64_t chunks = 0;
  uint64_t chunk_bytes = 0;  // stored lengths
  uint64_t evictions = 0;
};

struct ArenaOptions {
  PolicyOptions policy;
  // Whether a chunk that makes room is wanted elsewhere, and who takes it. Both
  // are called under the arena's lock and must not block.
  std::function<bool(const ChunkName&)> wants_evicted;
  std::function<void(const ChunkName&, ByteSpan)> take_evicted;
};

enum class SlotCheck { kAbsent, kGood, kDropped };

class ArenaWriter {
 public:
  // Takes the file under an exclusive lock for the life of this object: an
  // empty one becomes an arena of `limit_bytes`; in an arena of that very size
  // odd slots are freed and the index is rebuilt from the even ones.
  // kUnavailable: another daemon holds it. kExists: something else, such as an
  // arena of another size or layout: leave it to its readers and open another.
  // kInvalid: the limit. kExhausted, kIo. Needs /proc.
  static Result<std::unique_ptr<ArenaWriter>> Open(
      const Fd& file, uint64_t limit_bytes, const ArenaOptions& options = {},
      Clock& clock = SystemClock());

  // Copies `ciphertext` in and shows it. Ok also if it is there already.
  // kExhausted: every piece is just being written. Requires: whole pages, 1 to
  // kPagesPerChunk.
  Status Put(const ChunkName& name, ByteSpan ciphertext) EXCLUDES(mutex_);
  bool Contains(const ChunkName& name, uint32_t stored_length) const
      EXCLUDES(mutex_);
  // A copy; unverified. kNotFound.
  Result<Bytes> Read(const ChunkName& name) const EXCLUDES(mutex_);
  // Hashes the chunk, compares its CRCs, and drops the slot if either is
  // wrong.
  SlotCheck Check(const ChunkName& name) EXCLUDES(mutex_);
  // A hint that these slots were used; any numbers are allowed.
  void Touch(std::span<const uint32_t> slots) EXCLUDES(mutex_);

  // The file, open for reading only: for clients.
  int reader_fd() const { return reader_file_.get(); }
  ArenaStats Stats() const EXCLUDES(mutex_);

 private:
  enum class Use : uint8_t { kFree, kWriting, kShown };

  ArenaWriter(const ArenaOptions& options, Clock& clock);
  Status Begin();
  Status Adopt();
  bool AdoptSlot(uint32_t slot, std::vector<bool>& taken) REQUIRES(mutex_);
  // False if the step cannot be allocated.
  bool Grow() REQUIRES(mutex_);
  Result<uint32_t> Reserve(uint32_t piece_count) REQUIRES(mutex_);
  bool EvictOne() REQUIRES(mutex_);
  // Offers the chunk to who takes what makes room, and releases the slot.
  void Evict(uint32_t slot) REQUIRES(mutex_);
  void Release(uint32_t slot) REQUIRES(mutex_);
  // The slot that shows this chunk.
  std::optional<uint32_t> Find(const ChunkName& name) const REQUIRES(mutex_);
  Bytes CopyOut(uint32_t slot) const REQUIRES(mutex_);
  void ShowInIndex(uint32_t slot) REQUIRES(mutex_);
  void HideFromIndex(uint32_t slot) REQUIRES(mutex_);
  void Fill(uint32_t slot, const ChunkName& name, ByteSpan ciphertext);
  bool PagesFit(uint32_t slot, ByteSpan bytes) const;

  Fd file_;
  Fd reader_file_;
  SharedMapping mapping_;
  ArenaMap<std::byte> map_;
  const ArenaOptions options_;
  Clock& clock_;

  mutable Mutex mutex_;
  std::unordered_map<CacheKey, uint32_t> by_key_ GUARDED_BY(mutex_);
  std::unique_ptr<EvictionPolicy> policy_ GUARDED_BY(mutex_);
  std::vector<Use> uses_ GUARDED_BY(mutex_);
  std::vector<uint32_t> free_slots_ GUARDED_BY(mutex_);
  std::vector<uint32_t> free_pieces_ GUARDED_BY(mutex_);
  uint32_t allocated_ GUARDED_BY(mutex_) = 0;
  bool growth_failed_ GUARDED_BY(mutex_) = false;
  uint64_t chunk_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t evictions_ GUARDED_BY(mutex_) = 0;
};

}  // namespace morsel
