// SPDX-License-Identifier: Apache-2.0
// FIFO, LRU and SIEVE: policies that are one list. Beside LRU-K for comparison
// (bench/eviction) and by choice (cache.policy).
//
// SIEVE (Zhang et al., NSDI 2024): a FIFO whose hand moves from the oldest to
// the newest, clears the mark of what was used since it passed, and evicts
// the first without a mark. Nothing moves on a hit.
//
// Thread safety: as EvictionPolicy.
#pragma once

#include <list>
#include <unordered_map>

#include "cache/policy.h"

namespace morsel {

// The list and its index. Entries come in at the back.
class QueuePolicy : public EvictionPolicy {
 public:
  void Insert(const CacheKey& key, uint64_t bytes, Time now) override;
  void Remove(const CacheKey& key) override;
  std::optional<CacheKey> Evict(Time now) override;
  bool Contains(const CacheKey& key) const override {
    return index_.contains(key);
  }
  size_t resident_count() const override { return queue_.size(); }
  uint64_t bookkeeping_bytes() const override;

 protected:
  struct Node {
    CacheKey key;
    bool used = false;
  };
  using Queue = std::list<Node>;

  // The one to go; `queue_` is not empty.
  virtual Queue::iterator Victim() { return queue_.begin(); }
  virtual void BeforeErase(Queue::iterator) {}

  Queue queue_;
  std::unordered_map<CacheKey, Queue::iterator> index_;

 private:
  void Erase(Queue::iterator node);
};

class FifoPolicy final : public QueuePolicy {
 public:
  void Hit(const CacheKey&, Time) override {}
};

class LruPolicy final : public QueuePolicy {
 public:
  void Hit(const CacheKey& key, Time now) override;
};

class SievePolicy final : public QueuePolicy {
 public:
  void Hit(const CacheKey& key, Time now) override;

 protected:
  Queue::iterator Victim() override;
  void BeforeErase(Queue::iterator node) override;

 private:
  Queue::iterator hand_ = queue_.end();  // end: begin anew at the oldest
};

}  // namespace morsel
