// SPDX-License-Identifier: Apache-2.0
// Time comes in through this interface, so that tests and simulations own it.
//
// Thread safety: implementations are thread-safe.
#pragma once

#include <chrono>
#include <string>

namespace morsel {

// A moment after which an answer is of no use.
using Deadline = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic; for deadlines and durations.
  virtual std::chrono::steady_clock::time_point Now() = 0;
  // Seconds since 1970 UTC; for records that people read. Never compared
  // between hosts.
  virtual int64_t UnixSeconds() = 0;
};

// The machine's own clock.
Clock& SystemClock();

// "2026-11-24T03:40:00Z".
std::string FormatUtc(int64_t unix_seconds);

}  // namespace morsel
