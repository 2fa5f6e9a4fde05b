// SPDX-License-Identifier: Apache-2.0
// Logs the errors of a device, a few lines a second at most: a broken disk
// under a busy file system fails thousands of times, and the log lies in
// memory.
//
// Thread safety: thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"

namespace morsel {

class ErrorLog {
 public:
  // Lines in a second; what is beyond is counted, and the count is logged
  // with the next line.
  static constexpr uint32_t kLinesPerSecond = 10;

  explicit ErrorLog(Clock& clock) : clock_(clock) {}

  // The caller handles `error`, which a call of the device gave.
  void Add(std::string_view call, uint64_t offset, uint64_t length,
           const Error& error) EXCLUDES(mutex_);

 private:
  // How many errors went unsaid since the last line; none if this one does.
  bool Admit(uint64_t* unsaid) EXCLUDES(mutex_);

  Clock& clock_;
  Mutex mutex_;
  std::chrono::steady_clock::time_point second_begun_ GUARDED_BY(mutex_){};
  uint32_t lines_ GUARDED_BY(mutex_) = 0;
  uint64_t unsaid_ GUARDED_BY(mutex_) = 0;
};

}  // namespace morsel
