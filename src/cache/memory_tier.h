// SPDX-License-Identifier: Apache-2.0
// MemoryTier: values in memory under a hard limit of bytes, which counts what
// is really taken: the heap of the values with its holes and with what readers
// still hold, the keys, the index and the policy's history.
//
// Values lie in a heap of their own (cache/value_heap.h). A value that was
// made by Allocate() is taken over as it is; any other is copied in.
//
// An entry is `clean` if the next tier has the same value, else dirty. A victim
// is handed to the eviction hook under the tier's lock, so that whoever changes
// the same key afterwards finds it in the next tier already, and never the
// other way round. So the hook must not block nor call back.
//
// Thread safety: thread-safe. Nothing here blocks on I/O.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "cache/policy.h"
#include "cache/value.h"
#include "cache/value_heap.h"

namespace morsel {

struct MemoryTierOptions {
  uint64_t max_bytes = 64 * kMiB;
  PolicyOptions policy;
  // Called for each victim that has not expired.
  std::function<void(std::string_view key, const CacheValue& value, bool clean)>
      on_evict;
};

struct MemoryTierStats {
  uint64_t max_bytes = 0;
  uint64_t used_bytes = 0;   // what counts against max_bytes
  uint64_t value_bytes = 0;  // of the values alone
  uint64_t entry_count = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t inserts = 0;
  uint64_t evictions = 0;
  uint64_t expired = 0;
  uint64_t refused = 0;  // no room: readers held all of it
};

class MemoryTier {
 public:
  // What Put may ask of the entry that it would replace, under the lock:
  // nullptr if there is none (or an expired one). False: nothing is changed.
  using Condition = std::function<bool(const CacheValue* existing)>;

  // kInvalid: the limit is below 1 MiB. kIo, kExhausted: no address space.
  static Result<std::unique_ptr<MemoryTier>> Make(MemoryTierOptions options,
                                                  Clock& clock);
  ~MemoryTier();

  // kNotFound: ask the next tier.
  Result<CacheValue> Get(std::string_view key) EXCLUDES(mutex_);
  // The same without being a use or a hit.
  Result<CacheValue> Peek(std::string_view key) const EXCLUDES(mutex_);

  // Memory for a value, to be filled and then Put. kExhausted: readers hold
  // the memory of so many evicted values that there is no room; shed load.
  Result<ValueBuffer> Allocate(size_t byte_count) EXCLUDES(mutex_);

  // kInvalid: key or value too large. kExhausted: as in Allocate; an entry
  // that it would have replaced is gone all the same. kExists: `condition`
  // said no.
  Status Put(std::string_view key, const CacheValue& value, bool clean,
             const Condition& condition = nullptr) EXCLUDES(mutex_);

  // True if it was there. `also` is called under the lock.
  bool Remove(std::string_view key, const std::function<void()>& also = nullptr)
      EXCLUDES(mutex_);
  void Clear(const std::function<void()>& also = nullptr) EXCLUDES(mutex_);

  // The keys of dirty entries, in no order.
  std::vector<std::string> DirtyKeys() const EXCLUDES(mutex_);
  // Calls `take`, under the lock, with the entry if it is dirty; it is clean
  // afterwards if `take` says true.
  void HandOver(std::string_view key,
                const std::function<bool(const CacheValue&)>& take)
      EXCLUDES(mutex_);

  MemoryTierStats Stats() const EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string key;
    CacheValue value;
    bool clean = false;
  };
  using Entries = std::unordered_map<CacheKey, Entry>;

  MemoryTier(MemoryTierOptions options, Clock& clock,
             std::shared_ptr<ValueHeap> heap);

  const Entry* Find(const CacheKey& id, std::string_view key) const
      REQUIRES(mutex_);
  void Erase(Entries::iterator entry) REQUIRES(mutex_);
  bool EvictOne() REQUIRES(mutex_);
  uint64_t UsedBytes() const REQUIRES(mutex_);
  // Evicts until there is room in the heap.
  Result<ValueBuffer> AllocateLocked(size_t byte_count) REQUIRES(mutex_);
  Result<SharedBytes> InHeap(const SharedBytes& bytes) REQUIRES(mutex_);
  void KeepLimit() REQUIRES(mutex_);

  const MemoryTierOptions options_;
  Clock& clock_;
  const std::shared_ptr<ValueHeap> heap_;
  mutable Mutex mutex_;  // before that of heap_
  Entries entries_ GUARDED_BY(mutex_);
  std::unique_ptr<EvictionPolicy> policy_ GUARDED_BY(mutex_);
  uint64_t key_bytes_ GUARDED_BY(mutex_) = 0;
  MemoryTierStats stats_ GUARDED_BY(mutex_);
};

}  // namespace morsel
