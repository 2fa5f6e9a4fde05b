// SPDX-License-Identifier: Apache-2.0
#include "net/retry.h"

#include <algorithm>

namespace morsel {

RetryBudget::RetryBudget(RetryOptions options, Random& random)
    : options_(std::move(options)),
      random_(random),
      tenths_(options_.bucket * kTenths) {}

std::chrono::milliseconds RetryBudget::Pause(int failed_tries) const {
  const int doublings = std::clamp(failed_tries - 1, 0, 16);
  const auto limit =
      std::min(options_.first_pause * (1 << doublings), options_.longest_pause);
  uint32_t random = 0;
  random_.Fill(std::as_writable_bytes(std::span(&random, 1)));
  return std::chrono::milliseconds(random %
                                   static_cast<uint64_t>(limit.count() + 1));
}

bool RetryBudget::TryAgain(int failed_tries,
                           std::chrono::milliseconds at_least) {
  if (failed_tries >= options_.max_tries) return false;
  const auto pause =
      std::max(Pause(failed_tries), std::min(at_least, options_.longest_pause));
  {
    const MutexLock lock(mutex_);
    if (tenths_ < kTenths) return false;
    tenths_ -= kTenths;
  }
  if (options_.wait) {
    options_.wait(pause);
    return true;
  }
  const Deadline end = SystemClock().Now() + pause;
  const MutexLock lock(mutex_);
  while (never_.WaitUntil(mutex_, end)) continue;
  return true;
}

void RetryBudget::Succeeded() {
  const MutexLock lock(mutex_);
  tenths_ = std::min(tenths_ + 1, options_.bucket * kTenths);
}

RetryBudget& ProcessRetryBudget() {
  static RetryBudget budget{RetryOptions{}};
  return budget;
}

}  // namespace morsel
