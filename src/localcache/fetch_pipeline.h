// SPDX-License-Identifier: Apache-2.0
// From a miss to a chunk in the arena: one flight for each chunk however many
// wait for it, demand before prefetch, a bounded number of requests to the
// origin, and SHA-256 before anyone sees a byte.
//
// A demand that joins a queued prefetch raises it. A flight tries the root of
// each who waits. Nothing is asked twice by itself.
//
// Thread safety: thread-safe. Answers are called from the pipeline's threads,
// or from the caller's within Submit.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "chunk/chunk_source.h"
#include "localcache/arena_writer.h"

namespace morsel {

struct FetchRequest {
  ChunkRef ref;
  Urgency urgency = Urgency::kDemand;
  Deadline deadline;
  bool owned = false;    // the answer shall hold the bytes
  bool suspect = false;  // check the slot before anything else
};

// kNotFound (in no root that was asked for), kCorrupt (every copy is damaged),
// kTimeout, kUnavailable and what else the origin says. If it is ok and not
// `in_arena` (which was full of chunks that are just being written), `bytes`
// is set; for who asked for bytes it always is.
struct FetchAnswer {
  Status status;
  bool in_arena = false;
  std::shared_ptr<const Bytes> bytes;
};

struct FetchStats {
  uint64_t origin_gets = 0;
  uint64_t origin_bytes = 0;
  uint64_t corrupt_chunks = 0;
  uint64_t dropped_slots = 0;
};

class FetchPipeline {
 public:
  using Answer = std::function<void(const FetchAnswer&)>;

  // `thread_count` requests to the origin in flight at most.
  // `origin_verifies`: its source hashes each chunk, so it is not done again.
  FetchPipeline(size_t thread_count, bool origin_verifies, ArenaWriter& arena,
                ChunkSource& origin, Clock& clock);
  // Finishes what is queued.
  ~FetchPipeline();
  FetchPipeline(const FetchPipeline&) = delete;
  FetchPipeline& operator=(const FetchPipeline&) = delete;

  void Submit(FetchRequest request, Answer answer) EXCLUDES(mutex_);
  // Waits until nobody waits for an answer.
  void Drain() EXCLUDES(mutex_);
  FetchStats Stats() const;

 private:
  struct Flight {
    ChunkRef ref;                    // its root is not used
    std::vector<std::string> roots;  // each once, tried in this order
    size_t roots_tried = 0;
    std::vector<Answer> answers;
    Deadline deadline{};  // the latest of all who wait
    bool demand = false;
    bool owned = false;
    bool suspect = false;
    bool taken = false;  // by a thread
    Status error;        // the worst that a root said; its thread's alone
  };
  // A chunk under another length is another flight: only one can be right.
  using Key = std::pair<ChunkName, uint32_t>;
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return std::hash<ChunkName>()(key.first) ^ key.second;
    }
  };

  void Work() EXCLUDES(mutex_);
  // Null: stop.
  std::shared_ptr<Flight> TakeFlight() EXCLUDES(mutex_);
  FetchAnswer Obtain(Flight& flight) EXCLUDES(mutex_);
  FetchAnswer FromArena(Flight& flight) EXCLUDES(mutex_);
  FetchAnswer FromOrigin(Flight& flight) EXCLUDES(mutex_);
  // A chunk that is what its name says. kCorrupt names it and the root.
  Result<Bytes> FetchVerified(const ChunkRef& ref, Deadline deadline);
  // Ends the flight; false if someone joined whom `answer` does not serve.
  bool Land(const std::shared_ptr<Flight>& flight, const FetchAnswer& answer)
      EXCLUDES(mutex_);

  const bool origin_verifies_;
  ArenaWriter& arena_;
  ChunkSource& origin_;
  Clock& clock_;
  std::atomic<uint64_t> origin_gets_{0};
  std::atomic<uint64_t> origin_bytes_{0};
  std::atomic<uint64_t> corrupt_chunks_{0};
  std::atomic<uint64_t> dropped_slots_{0};

  mutable Mutex mutex_;
  CondVar queued_;
  CondVar landed_;
  std::unordered_map<Key, std::shared_ptr<Flight>, KeyHash> flights_
      GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Flight>> demands_ GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Flight>> prefetches_ GUARDED_BY(mutex_);
  bool stop_ GUARDED_BY(mutex_) = false;
  std::vector<std::jthread> threads_;
};

}  // namespace morsel
