// SPDX-License-Identifier: Apache-2.0
// For the tests: the policies once more, slow and obvious, as their papers
// state them.
//
// Thread safety: owned by one thread.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <vector>

#include "cache/policy.h"

namespace morsel {

// Figure 2.1 of O'Neil, O'Neil and Weikum, with a scan of everything for each
// victim; and what lru_k.h says about what that figure leaves open.
class SlowLruK {
 public:
  using Time = EvictionPolicy::Time;

  explicit SlowLruK(const PolicyOptions& options) : options_(options) {}

  void Use(int key, Time now, bool comes_in) {
    if (comes_in) Purge(now);
    Page& page = pages_[key];
    if (page.history.empty()) {
      page.history.assign(options_.k, Time::min());
      page.history[0] = page.last = now;
      page.number = ++numbers_;
    } else {
      if (now - page.last > options_.correlated_period) {
        const auto burst = page.last - page.history[0];
        for (size_t i = options_.k - 1; i > 0; --i)
          if (page.history[i - 1] != Time::min())
            page.history[i] = page.history[i - 1] + burst;
        page.history[0] = now;
        page.number = ++numbers_;
      }
      page.last = now;
    }
    page.last_number = ++numbers_;
    page.resident = true;
  }

  int Evict(Time now) {
    Page* victim = nullptr;
    Page* oldest = nullptr;
    int victim_key = 0, oldest_key = 0;
    for (auto& [key, page] : pages_) {
      if (!page.resident) continue;
      if (oldest == nullptr || page.last_number < oldest->last_number)
        oldest = &page, oldest_key = key;
      if (now - page.last <= options_.correlated_period) continue;
      if (victim == nullptr || Before(page, *victim))
        victim = &page, victim_key = key;
    }
    if (victim == nullptr) victim = oldest, victim_key = oldest_key;
    victim->resident = false;
    victim->evicted = ++numbers_;
    Purge(now);
    return victim_key;
  }

  void Remove(int key) { pages_.erase(key); }

 private:
  struct Page {
    std::vector<Time> history;
    Time last;
    uint64_t number = 0;
    uint64_t last_number = 0;
    uint64_t evicted = 0;
    bool resident = false;
  };

  static bool Before(const Page& a, const Page& b) {
    for (size_t i = a.history.size(); i-- > 0;)
      if (a.history[i] != b.history[i]) return a.history[i] < b.history[i];
    return a.number < b.number;
  }

  // The oldest eviction goes first, while there are too many or its last use is
  // too long ago.
  void Purge(Time now) {
    std::vector<std::pair<uint64_t, int>> retained;
    size_t resident = 0;
    for (const auto& [key, page] : pages_) {
      if (page.resident) ++resident;
      if (!page.resident) retained.emplace_back(page.evicted, key);
    }
    std::sort(retained.begin(), retained.end());
    const auto limit = std::max<size_t>(
        64, static_cast<size_t>(static_cast<double>(resident) *
                                options_.retained_per_resident));
    size_t left = retained.size();
    for (const auto& [number, key] : retained) {
      if (left <= limit && now - pages_[key].last <= options_.retained_period)
        break;
      pages_.erase(key);
      --left;
    }
  }

  const PolicyOptions options_;
  std::map<int, Page> pages_;
  uint64_t numbers_ = 0;
};

// FIFO, LRU and SIEVE over one deque, the oldest at the front.
class SlowQueue {
 public:
  explicit SlowQueue(PolicyKind kind) : kind_(kind) {}

  void Use(int key, EvictionPolicy::Time, bool comes_in) {
    if (comes_in) {
      queue_.push_back({key});
      return;
    }
    const auto item = Find(key);
    if (kind_ == PolicyKind::kSieve) item->used = true;
    if (kind_ != PolicyKind::kLru) return;
    queue_.erase(item);
    queue_.push_back({key});
  }

  int Evict(EvictionPolicy::Time) {
    if (kind_ != PolicyKind::kSieve) hand_ = 0;
    while (queue_[hand_].used) {
      queue_[hand_].used = false;
      hand_ = (hand_ + 1) % queue_.size();
    }
    const int key = queue_[hand_].key;
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(hand_));
    if (hand_ == queue_.size()) hand_ = 0;
    return key;
  }

  void Remove(int key) {
    const auto item = Find(key);
    if (item == queue_.end()) return;
    if (static_cast<size_t>(item - queue_.begin()) < hand_) --hand_;
    queue_.erase(item);
    if (hand_ == queue_.size()) hand_ = 0;
  }

 private:
  struct Item {
    int key;
    bool used = false;
  };
  std::deque<Item>::iterator Find(int key) {
    return std::find_if(queue_.begin(), queue_.end(),
                        [&](const Item& item) { return item.key == key; });
  }

  const PolicyKind kind_;
  std::deque<Item> queue_;
  size_t hand_ = 0;
};

}  // namespace morsel
