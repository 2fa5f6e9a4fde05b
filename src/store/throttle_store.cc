// SPDX-License-Identifier: Apache-2.0
#include "store/throttle_store.h"

#include <algorithm>
#include <thread>

namespace morsel {

ThrottleStore::ThrottleStore(ObjectStore& next, Clock& clock,
                             ThrottleOptions options)
    : FilterStore(next), clock_(clock), options_(std::move(options)) {}

std::chrono::microseconds ThrottleStore::TimeOf(uint64_t call_count,
                                                uint64_t byte_count) const {
  uint64_t microseconds = 0;
  if (options_.bytes_per_second != 0)
    microseconds += byte_count * 1'000'000 / options_.bytes_per_second;
  if (options_.calls_per_second != 0)
    microseconds += call_count * 1'000'000 / options_.calls_per_second;
  return std::chrono::microseconds(microseconds);
}

void ThrottleStore::Wait(std::chrono::microseconds duration,
                         std::chrono::microseconds extra) {
  Deadline until = clock_.Now();
  if (duration.count() > 0) {
    const MutexLock lock(mutex_);
    free_at_ = std::max(free_at_, until) + duration;
    until = free_at_;
  }
  until += extra;
  if (until <= clock_.Now()) return;
  if (options_.wait_until)
    options_.wait_until(until);
  else
    std::this_thread::sleep_until(until);
}

Status ThrottleStore::Before(const StoreCall& call) {
  Wait(TimeOf(1, call.byte_count), options_.delay);
  return Ok();
}

Status ThrottleStore::After(const StoreCall& call, const Status& answer) {
  if (call.op == StoreOp::kGet) Wait(TimeOf(0, call.byte_count), {});
  return answer;
}

}  // namespace morsel
