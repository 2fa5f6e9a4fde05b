// SPDX-License-Identifier: Apache-2.0
// For the tests: S3-FIFO once more, slow and obvious (cache/slow_policies.h).
//
// Thread safety: owned by one thread.
#pragma once

#include <algorithm>
#include <deque>

#include "cache/policy.h"

namespace morsel {

// Algorithm 1 of Yang et al., with every entry one byte, over three plain
// lists, the oldest at the front; and what s3_fifo.h says about what that
// leaves open: the ghosts are bounded, and a main queue that is empty gives no
// victim.
class SlowS3Fifo {
 public:
  explicit SlowS3Fifo(const PolicyOptions& options) : options_(options) {}

  void Use(int key, EvictionPolicy::Time, bool comes_in) {
    if (!comes_in) {
      for (auto* queue : {&small_, &main_})
        for (Item& item : *queue)
          if (item.key == key) item.uses = std::min(item.uses + 1, 3);
      return;
    }
    const bool is_ghost = Take(ghosts_, key);
    (is_ghost ? main_ : small_).push_back({key});
  }

  int Evict(EvictionPolicy::Time) {
    const size_t all = small_.size() + main_.size();
    // Once it turns to the small queue it stays there until that is empty.
    if (main_.empty() || small_.size() * 10 >= all) {
      while (!small_.empty()) {
        const Item item = small_.front();
        small_.pop_front();
        if (item.uses <= 1) return Remember(item.key);
        main_.push_back({item.key});
      }
    }
    while (main_.front().uses > 0) {
      const Item item = main_.front();
      main_.pop_front();
      main_.push_back({item.key, item.uses - 1});
    }
    const int key = main_.front().key;
    main_.pop_front();
    return key;
  }

  void Remove(int key) {
    for (auto* queue : {&small_, &main_, &ghosts_}) Take(*queue, key);
  }

 private:
  struct Item {
    int key;
    int uses = 0;
  };
  int Remember(int key) {
    ghosts_.push_back({key});
    const auto resident = static_cast<double>(small_.size() + main_.size());
    const auto limit = std::max<size_t>(
        64, static_cast<size_t>(resident * options_.retained_per_resident));
    while (ghosts_.size() > limit) ghosts_.pop_front();
    return key;
  }
  static bool Take(std::deque<Item>& queue, int key) {
    const auto item =
        std::find_if(queue.begin(), queue.end(),
                     [&](const Item& each) { return each.key == key; });
    if (item == queue.end()) return false;
    queue.erase(item);
    return true;
  }

  const PolicyOptions options_;
  std::deque<Item> small_, main_, ghosts_;
};

}  // namespace morsel
