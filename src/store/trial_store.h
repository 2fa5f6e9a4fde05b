// SPDX-License-Identifier: Apache-2.0
// TrialStore: a decorator whose faults come from a setting and may change while
// it works: to try what a machine does when its origin is slow, away or
// damaged.
//
//   ""            nothing is wrong
//   "down"        no call is answered: kUnavailable
//   "delay=250"   each call waits so many milliseconds first
//   "flip=0.01"   one bit is flipped in so large a part of what is read
//
// Several are separated by commas. store/fault_store.h has finer rules.
//
// Thread safety: thread-safe. `next` must outlive it.
#pragma once

#include <chrono>
#include <random>
#include <string_view>

#include "base/mutex.h"
#include "store/filter_store.h"

namespace morsel {

struct Trial {
  bool is_down = false;
  std::chrono::milliseconds delay{0};
  double flip_part = 0;

  // kInvalid says what is not understood.
  static Result<Trial> Parse(std::string_view text);
};

class TrialStore final : public FilterStore {
 public:
  explicit TrialStore(ObjectStore& next) : FilterStore(next) {}

  // From the next call on; who waits out a delay is answered as it began.
  void Set(const Trial& trial) EXCLUDES(mutex_);

  Result<ObjectData> Get(std::string_view key, uint64_t offset,
                         uint64_t limit_bytes) override EXCLUDES(mutex_);

 private:
  Status Before(const StoreCall& call) override EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar never_;  // nobody notifies: delays end by themselves
  Trial trial_ GUARDED_BY(mutex_);
  std::mt19937_64 random_ GUARDED_BY(mutex_){1};
};

}  // namespace morsel
