// SPDX-License-Identifier: Apache-2.0
// LRU-K (O'Neil, O'Neil, Weikum, SIGMOD 1993): the victim is the entry whose
// K-th last use lies furthest back. An entry that was used fewer than K times
// has no such moment and goes first, so a scan (each entry used once) cannot
// push out what is used again and again.
//
// As in figure 2.1 of that paper:
// - HIST(p, i) is the time of the i-th last use of p, where uses that follow
//   each other within the correlated-reference period count as one; LAST(p) is
//   the time of the very last one. When a new use begins, the older ones move
//   forward by the length of the correlated burst that it closes.
// - An entry whose LAST lies within the correlated-reference period is no
//   victim.
// - The history of an evicted entry is retained for the retained period, so
//   that an entry that comes back soon is known to be hot.
//
// What that paper leaves open, and what is done here:
// - ties of HIST(p, K) go by HIST(p, K-1) and so on to HIST(p, 1), then to the
//   older use: LRU among those that were used less than K times;
// - if every entry was used within the correlated-reference period, the one
//   with the oldest LAST goes;
// - a use of an evicted entry within the period of its LAST is correlated too;
// - retained history is bounded in number as well; the oldest eviction is
//   forgotten first.
//
// Cost: O(1) for a correlated use, O(log n) for others. Entries used within
// the correlated period stand in a list by LAST, the others in a set by
// history; each evicts or ages from its front.
//
// Thread safety: as EvictionPolicy.
#pragma once

#include <array>
#include <list>
#include <set>
#include <unordered_map>

#include "cache/policy.h"

namespace morsel {

class LruKPolicy final : public EvictionPolicy {
 public:
  static constexpr uint32_t kMaxK = 4;

  // Requires: 1 <= k <= kMaxK.
  explicit LruKPolicy(const PolicyOptions& options);

  void Insert(const CacheKey& key, uint64_t bytes, Time now) override;
  void Hit(const CacheKey& key, Time now) override;
  void Remove(const CacheKey& key) override;
  std::optional<CacheKey> Evict(Time now) override;
  bool Contains(const CacheKey& key) const override;
  size_t resident_count() const override {
    return recent_.size() + aged_.size();
  }
  uint64_t bookkeeping_bytes() const override;

  size_t retained_count() const { return retained_.size(); }

 private:
  enum class Place { kRecent, kAged, kRetained };
  // The history control block of the paper.
  struct Block {
    CacheKey key;
    std::array<Time, kMaxK> history;  // [0] is HIST(p, 1)
    Time last;
    uint64_t use_number = 0;  // of the use that began at history[0]
    Place place = Place::kRecent;
  };
  using Blocks = std::list<Block>;
  struct GoesFirst {
    uint32_t k;
    bool operator()(const Blocks::iterator& a, const Blocks::iterator& b) const;
  };

  Time Advance(Time now);
  // Moves what has left the correlated period from recent_ to aged_.
  void Age(Time now);
  void Use(Block& block, Time now);
  void BeginUse(Block& block, Time now);
  void Forget(Blocks::iterator block);
  void TrimRetained(Time now);
  Blocks& ListOf(Place place);

  const uint32_t k_;
  const std::chrono::steady_clock::duration correlated_period_;
  const std::chrono::steady_clock::duration retained_period_;
  const double retained_per_resident_;
  Time latest_ = Time::min();
  uint64_t uses_ = 0;
  std::unordered_map<CacheKey, Blocks::iterator> blocks_;
  Blocks recent_;    // by LAST, the oldest first
  Blocks aged_;      // in no order; by_history_ has it
  Blocks retained_;  // by eviction, the oldest first
  std::set<Blocks::iterator, GoesFirst> by_history_;
};

}  // namespace morsel
