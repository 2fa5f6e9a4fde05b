// SPDX-License-Identifier: Apache-2.0
// DelaySource: a decorator that answers late, repeatably for a seed: a slow
// network or disk to try things against.
//
// Thread safety: thread-safe; `next` and `clock` must outlive it.
#pragma once

#include <functional>
#include <random>

#include "base/mutex.h"
#include "chunk/chunk_source.h"

namespace morsel {

struct DelayOptions {
  std::chrono::microseconds delay{0};
  std::chrono::microseconds jitter{0};  // 0 to this much is added, evenly
  uint64_t seed = 1;
  // How to wait until a moment; empty: by sleeping.
  std::function<void(std::chrono::steady_clock::time_point)> wait_until;
};

class DelaySource final : public ChunkSource {
 public:
  DelaySource(ChunkSource& next, Clock& clock, DelayOptions options);

  // kTimeout at the deadline, if that comes before the delay is over.
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override
      EXCLUDES(mutex_);

 private:
  std::chrono::microseconds DrawDelay() EXCLUDES(mutex_);

  ChunkSource& next_;
  Clock& clock_;
  const DelayOptions options_;
  Mutex mutex_;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
};

}  // namespace morsel
