// SPDX-License-Identifier: Apache-2.0
// ThrottleStore: a decorator that makes a store as slow as a far one, or spares
// it: a delay for each call, and rates for the calls and the bytes of all calls
// together.
//
// Thread safety: thread-safe. Delays overlap; the rates are shared.
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
  uint64_t calls_per_second = 0;       // likewise
  // Waits until a moment of `clock`; by default the thread sleeps.
  std::function<void(Deadline)> wait_until;
};

class ThrottleStore final : public FilterStore {
 public:
  ThrottleStore(ObjectStore& next, Clock& clock, ThrottleOptions options);

 private:
  Status Before(const StoreCall& call) override;
  Status After(const StoreCall& call, const Status& answer) override;
  // How long the line is taken by so many calls and bytes.
  std::chrono::microseconds TimeOf(uint64_t call_count,
                                   uint64_t byte_count) const;
  // Waits until the line was free for `duration`, and `extra` after that.
  void Wait(std::chrono::microseconds duration, std::chrono::microseconds extra)
      EXCLUDES(mutex_);

  Clock& clock_;
  const ThrottleOptions options_;
  Mutex mutex_;
  Deadline free_at_ GUARDED_BY(mutex_){};  // when the line is free again
};

}  // namespace morsel
