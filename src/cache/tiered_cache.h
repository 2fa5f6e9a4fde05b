// SPDX-License-Identifier: Apache-2.0
// TieredCache: a memory tier over a flash tier, as one cache.
//
// What is set goes into memory; what memory evicts goes to flash, unless flash
// has it. A value found on flash is promoted into memory at its second use
// there; the copy on flash stays, so evicting it again costs no write. Without
// a flash tier it is the memory tier alone.
//
// A key has one current value: what Set or Remove replaced is never returned
// afterwards, whatever evictions and promotions go on meanwhile
// (tiered_cache.cc says how).
//
// Thread safety: thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "cache/flash_tier.h"
#include "cache/memory_tier.h"

namespace morsel {

// One step of a call, for histograms.
enum class CacheStep { kMemoryHit, kFlashHit, kMiss, kSet, kRemove };

struct TieredCacheOptions {
  MemoryTierOptions memory;          // on_evict is the cache's own
  std::unique_ptr<FlashTier> flash;  // may be empty
  // Uses of a value on flash from which on it is kept in memory too.
  uint32_t promote_at_use = 2;
  // Called after each call with how long it took. Must not block.
  std::function<void(CacheStep, std::chrono::nanoseconds)> observe;
};

struct TieredCacheStats {
  MemoryTierStats memory;
  std::optional<FlashTierStats> flash;
  uint64_t promotions = 0;
};

class TieredCache {
 public:
  static Result<std::unique_ptr<TieredCache>> Make(TieredCacheOptions options,
                                                   Clock& clock);
  ~TieredCache();

  // kNotFound. kCorrupt: the copy on flash was damaged; it is dropped, named
  // in the message, and counted. kIo: flash could not be read.
  Result<CacheValue> Get(std::string_view key);

  // Whether the key is there, with its cas; reads no device, is no use.
  std::optional<uint64_t> CasOf(std::string_view key) const;

  // Memory for a value, to fill and to Set without a copy. kExhausted: shed
  // load.
  Result<ValueBuffer> Allocate(size_t byte_count);

  enum class Mode {
    kAlways,
    kIfAbsent,   // memcached's add
    kIfPresent,  // replace
    kIfCas,      // cas: present, with value.cas
  };
  // Atomic for each key. Gives the new cas, unique in this cache, a restart
  // included. kExists: kIfAbsent and it is there, or kIfCas and it has another
  // cas. kNotFound: kIfPresent or kIfCas and it is not there. kInvalid: key or
  // value too long. kExhausted: no memory; nothing is stored, and an older
  // value is gone.
  Result<uint64_t> Set(std::string_view key, const CacheValue& value,
                       Mode mode = Mode::kAlways);

  // Gone, kill -9 included, when this returns. kNotFound. kUnavailable: gone,
  // but flash could not write that down: it may be back after a restart.
  Status Remove(std::string_view key);
  // All keys; errors as Remove.
  Status Clear();
  // Writes what memory alone has to flash, as far as there is room, and waits:
  // for a shutdown that shall start warm.
  Status Flush();

  TieredCacheStats Stats() const;
  FlashTier* flash() { return flash_.get(); }

 private:
  TieredCache(TieredCacheOptions options, Clock& clock);

  void OnEvict(std::string_view key, const CacheValue& value, bool clean);
  Result<CacheValue> GetFromFlash(std::string_view key);
  // The cas of the current value, given what memory has.
  std::optional<uint64_t> CurrentCas(std::string_view key,
                                     const CacheValue* in_memory) const;
  void Observe(CacheStep step, EvictionPolicy::Time begun) const;

  Clock& clock_;
  const uint32_t promote_at_use_;
  const std::function<void(CacheStep, std::chrono::nanoseconds)> observe_;
  std::unique_ptr<FlashTier> flash_;
  std::unique_ptr<MemoryTier> memory_;
  std::atomic<uint64_t> next_cas_;
  std::atomic<uint64_t> promotions_{0};
};

}  // namespace morsel
