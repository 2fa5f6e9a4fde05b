// SPDX-License-Identifier: Apache-2.0
// RetryBudget: how often a process may ask a service again.
//
// Retries help against a single loss and harm against an overload, where each
// of them is more load. So they are bounded twice: a call is tried a few times
// only, and all calls of a process draw on one budget, a bucket of tokens. A
// retry takes one token; a call that succeeds gives a tenth of one back. A
// healthy service has every lost request repeated; one that is down gets at
// most the bucket, and then a tenth more than what succeeds.
//
// Pauses grow by powers of two and are drawn at random from zero up, so that
// many who failed at once do not come back at once.
//
// Thread safety: thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/random.h"

namespace morsel {

struct RetryOptions {
  int max_tries = 5;  // of one call, the first included
  uint64_t bucket = 100;
  std::chrono::milliseconds first_pause{50};  // at most; doubles
  std::chrono::milliseconds longest_pause{3'000};
  // Waits for that long; by default the thread does.
  std::function<void(std::chrono::milliseconds)> wait;
};

class RetryBudget {
 public:
  explicit RetryBudget(RetryOptions options, Random& random = SystemRandom());

  // After the `failed_tries`-th failure of a call: false if it is not to be
  // tried again; else pauses first, at least for `at_least` (what a service
  // asked for, cut at the longest pause).
  bool TryAgain(int failed_tries, std::chrono::milliseconds at_least =
                                      std::chrono::milliseconds(0))
      EXCLUDES(mutex_);
  void Succeeded() EXCLUDES(mutex_);

 private:
  static constexpr uint64_t kTenths = 10;  // of a token

  std::chrono::milliseconds Pause(int failed_tries) const;

  const RetryOptions options_;
  Random& random_;
  Mutex mutex_;
  CondVar never_;
  uint64_t tenths_ GUARDED_BY(mutex_);
};

// The one of this process: for every service that it uses.
RetryBudget& ProcessRetryBudget();

}  // namespace morsel
