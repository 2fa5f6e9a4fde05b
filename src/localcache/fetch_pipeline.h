// SPDX-License-Identifier: Apache-2.0
// From a miss to a chunk in the arena: one flight for each chunk however many
// wait for it (localcache/flight_queue.h), each tier only on a miss of the one
// before, and SHA-256 before anyone sees a byte.
//
//   arena → flash → zone cache → origin
//
// The first three are asked by a few threads of their own, so that what is
// near never waits behind a slow origin; the origin's slots are bounded. What
// the origin gave is offered to the zone cache and to the flash tier in the
// background. A flight tries the root of each who waits; where the chunk is not
// there, it asks once for each image of theirs where that is now, and tries
// there. Nothing is asked twice by itself: work is constant, whatever fails.
//
// A damaged copy is counted, named in the log, and the next tier is asked.
//
// Thread safety: thread-safe. Answers are called from the pipeline's threads.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "chunk/chunk_sink.h"
#include "chunk/chunk_source.h"
#include "localcache/arena_writer.h"
#include "localcache/flight_queue.h"
#include "localcache/lease_keeper.h"
#include "localcache/tier_metrics.h"

namespace morsel {

struct FetchRequest {
  ChunkRef ref;
  std::string manifest_id{};  // of the image that has it; may be empty
  Urgency urgency = Urgency::kDemand;
  Deadline deadline;
  bool owned = false;    // the answer shall hold the bytes
  bool suspect = false;  // check the slot before anything else
  Deadline attached{};   // when the device was that asks
  // Of a prefetch: false once who asked has gone. Asked while the pipeline's
  // lock is held: it calls nothing of the pipeline. Empty: always.
  std::function<bool()> is_wanted{};
};

// What the pipeline asks, nearest first; all must outlive it. A tier that is
// not there is null. What a source gives is hashed here, unless it says that it
// has done so.
struct FetchTiers {
  // Both ends of one tier; what the zone cache and the origin gave is offered.
  ChunkSource* flash = nullptr;
  ChunkSink* flash_sink = nullptr;
  bool flash_verifies = false;
  // What the origin gave is offered.
  ChunkSource* zone_cache = nullptr;
  ChunkSink* zone_cache_sink = nullptr;
  bool zone_cache_verifies = false;
  ChunkSource* origin = nullptr;  // never null
  bool origin_verifies = false;
  // Knows where images are now.
  LeaseKeeper* leases = nullptr;
};

struct FetchOptions {
  uint32_t origin_requests = 16;
  uint32_t near_threads = 4;
};

class FetchPipeline {
 public:
  using Answer = Flight::Answer;

  FetchPipeline(const FetchOptions& options, const FetchTiers& tiers,
                ArenaWriter& arena, LocalCacheMetrics& metrics, Clock& clock);
  // As Drain; then waits for the prefetches that are running.
  ~FetchPipeline();
  FetchPipeline(const FetchPipeline&) = delete;
  FetchPipeline& operator=(const FetchPipeline&) = delete;

  void Submit(FetchRequest request, Answer answer) EXCLUDES(mutex_);
  // Begins no more prefetches, and waits until no demand waits for an answer.
  void Drain() EXCLUDES(mutex_);
  // Prefetches are running, each until its deadline at most: a destructor would
  // wait for them.
  bool IsPrefetching() const EXCLUDES(mutex_);
  uint64_t dropped_slots() const { return dropped_slots_; }

 private:
  // A chunk under another length is another flight: only one can be right.
  using Key = std::pair<ChunkName, uint32_t>;
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return std::hash<ChunkName>()(key.first) ^ key.second;
    }
  };
  using BytesPtr = std::shared_ptr<const Bytes>;

  void Enqueue(const FlightPtr& flight) REQUIRES(mutex_);
  void WorkNear() EXCLUDES(mutex_);
  void WorkFar() EXCLUDES(mutex_);
  // Null: stop.
  FlightPtr TakeNear() EXCLUDES(mutex_);
  FlightPtr TakeFar(OriginSlots::Held& held) EXCLUDES(mutex_);
  // Nothing: the origin must be asked.
  std::optional<FetchAnswer> Near(Flight& flight) EXCLUDES(mutex_);
  // An answer if it is too late to fetch it, or nobody wants it any more.
  std::optional<FetchAnswer> Late(Flight& flight) EXCLUDES(mutex_);
  void CheckSlot(Flight& flight);
  std::optional<FetchAnswer> FromArena(Flight& flight) EXCLUDES(mutex_);
  std::optional<FetchAnswer> FromTier(Flight& flight, ChunkSource& source,
                                      TierMetrics& tier) EXCLUDES(mutex_);
  FetchAnswer FromOrigin(Flight& flight) EXCLUDES(mutex_);
  // Adds the roots to which images of the flight have moved from `root`.
  void Follow(Flight& flight, const std::string& root) EXCLUDES(mutex_);
  bool Verifies(const ChunkSource& source) const;
  // A chunk that is what its name says; everything is counted, damage logged.
  Result<BytesPtr> Fetch(Flight& flight, ChunkSource& source, TierMetrics& tier,
                         const ChunkRef& ref, Want want);
  FetchAnswer Keep(const Flight& flight, BytesPtr bytes);
  // Ends the flight; false if someone joined whom `answer` does not serve.
  bool Land(const FlightPtr& flight, const FetchAnswer& answer)
      EXCLUDES(mutex_);

  const FetchTiers tiers_;
  ArenaWriter& arena_;
  LocalCacheMetrics& metrics_;
  Clock& clock_;
  std::atomic<uint64_t> dropped_slots_{0};

  mutable Mutex mutex_;
  CondVar near_queued_;
  CondVar far_queued_;
  CondVar landed_;
  std::unordered_map<Key, FlightPtr, KeyHash> flights_ GUARDED_BY(mutex_);
  FlightQueue near_ GUARDED_BY(mutex_);
  FlightQueue far_ GUARDED_BY(mutex_);
  OriginSlots slots_ GUARDED_BY(mutex_);
  bool draining_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace morsel
