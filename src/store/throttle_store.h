// SPDX-License-Identifier: Apache-2.0
// ThrottleStore: a decorator that makes a store as slow as a far one: a delay
// for each call and a rate for the bytes of all calls together.
//
// Thread safety: thread-safe. Delays overlap; the rate is shared.
#pragma once

#include <chrono>
#include <functional>

#include "base/clock.h"
#include "base/mutex.h"
#include "store/filter_store.h"

namespace morsel {

struct ThrottleOptions {
  std::chrono::microseconds delay{0};  // before each call
  uint64_t bytes_per_second = 0;       // 0: no limit
  // Waits until a moment of `clock`; by default the thread sleeps.
  std::function<void(Deadline)> wait_until;
};

class ThrottleStore final : public FilterStore {
 public:
  ThrottleStore(ObjectStore& next, Clock& clock, ThrottleOptions options);

 private:
  Status Before(const StoreCall& call) override;
  Status After(const StoreCall& call, const Status& answer) override;
  // Waits for the turn of `byte_count` bytes after `extra`.
  void Wait(uint64_t byte_count, std::chrono::microseconds extra)
      EXCLUDES(mutex_);

  Clock& clock_;
  const ThrottleOptions options_;
  Mutex mutex_;
  Deadline free_at_ GUARDED_BY(mutex_){};  // when the line is free again
};

}  // namespace morsel
