// SPDX-License-Identifier: Apache-2.0
#include "chunk/delay_source.h"

#include <thread>

namespace morsel {
namespace {

DelayOptions WithWaiting(DelayOptions options) {
  if (!options.wait_until) {
    options.wait_until = [](std::chrono::steady_clock::time_point moment) {
      std::this_thread::sleep_until(moment);
    };
  }
  return options;
}

}  // namespace

DelaySource::DelaySource(ChunkSource& next, Clock& clock, DelayOptions options)
    : next_(next),
      clock_(clock),
      options_(WithWaiting(std::move(options))),
      random_(options_.seed) {}

std::chrono::microseconds DelaySource::DrawDelay() {
  if (options_.jitter.count() <= 0) return options_.delay;
  const MutexLock lock(mutex_);
  const auto range = static_cast<uint64_t>(options_.jitter.count()) + 1;
  return options_.delay +
         std::chrono::microseconds(static_cast<int64_t>(random_() % range));
}

Result<ChunkView> DelaySource::Get(const ChunkRef& ref, const Want& want) {
  const auto begin = clock_.Now() + DrawDelay();
  if (begin >= want.deadline) {
    options_.wait_until(want.deadline);
    return MakeError(Code::kTimeout,
                     "chunk " + ref.name.Short() +
                         ": the deadline passed during an injected delay");
  }
  options_.wait_until(begin);
  return next_.Get(ref, want);
}

}  // namespace morsel
