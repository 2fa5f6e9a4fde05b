// SPDX-License-Identifier: Apache-2.0
// A clock that moves when a test says so.
//
// Thread safety: thread-safe.
#pragma once

#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace morsel {

class TestClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override {
    return std::chrono::steady_clock::time_point(
        std::chrono::milliseconds(now_ms_.load()));
  }
  int64_t UnixSeconds() override { return now_ms_.load() / 1000; }

  void Advance(std::chrono::milliseconds by) { now_ms_ += by.count(); }

 private:
  std::atomic<int64_t> now_ms_{1'700'000'000'000};
};

}  // namespace morsel
