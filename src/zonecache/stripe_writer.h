// SPDX-License-Identifier: Apache-2.0
// StripeWriter: puts stripes into the zone cache in the background, one chunk
// after the other, through a bounded queue that drops when it is full.
//
// Thread safety: thread-safe. It owns one thread, from the first chunk on, so
// that a process may give up its rights in between.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <thread>

#include "base/mutex.h"
#include "chunk/chunk_source.h"
#include "erasure/code.h"
#include "zonecache/exchange.h"
#include "zonecache/repair_plan.h"

namespace morsel {

// The pool of each place of a chunk, kept alive by `owner`.
struct PlacePools {
  std::shared_ptr<const void> owner;
  std::vector<NodePool*> pools;
  std::vector<uint32_t> rounds;
};

struct StripeWriterStats {
  uint64_t queued = 0;
  uint64_t dropped = 0;
  uint64_t added = 0;
  uint64_t repaired = 0;
  uint64_t failures = 0;
};

class StripeWriter {
 public:
  struct Job {
    ChunkRef ref;
    Bytes chunk;
    PlacePools places;
    std::vector<StripePut> puts;
  };

  StripeWriter(const ErasureCode& code, uint32_t queue_limit,
               std::chrono::milliseconds timeout, Clock& clock);
  // Drops what is queued.
  ~StripeWriter();
  StripeWriter(const StripeWriter&) = delete;
  StripeWriter& operator=(const StripeWriter&) = delete;

  // False: there is no room, and it is counted as dropped.
  bool HasRoom() EXCLUDES(mutex_);
  void Queue(Job job) EXCLUDES(mutex_);
  // Waits until nothing is queued or being put.
  void Flush() EXCLUDES(mutex_);

  StripeWriterStats Stats() const EXCLUDES(mutex_);

 private:
  void Work() EXCLUDES(mutex_);
  void Put(const Job& job);
  void Count(const StripePut& put, const Result<Reply>& reply);

  const ErasureCode& code_;
  const uint32_t queue_limit_;
  const std::chrono::milliseconds timeout_;
  Clock& clock_;
  std::atomic<uint64_t> added_{0};
  std::atomic<uint64_t> repaired_{0};
  std::atomic<uint64_t> failures_{0};

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Job> queue_ GUARDED_BY(mutex_);
  bool busy_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  uint64_t queued_ GUARDED_BY(mutex_) = 0;
  uint64_t dropped_ GUARDED_BY(mutex_) = 0;
  std::jthread thread_ GUARDED_BY(mutex_);
};

}  // namespace morsel
