// SPDX-License-Identifier: Apache-2.0
#include "frontend/error_log.h"

#include <utility>

#include "base/log.h"

namespace morsel {

bool ErrorLog::Admit(uint64_t* unsaid) {
  const auto now = clock_.Now();
  const MutexLock lock(mutex_);
  if (now - second_begun_ >= std::chrono::seconds(1)) {
    second_begun_ = now;
    lines_ = 0;
  }
  if (lines_ >= kLinesPerSecond) {
    ++unsaid_;
    return false;
  }
  ++lines_;
  *unsaid = std::exchange(unsaid_, 0);
  return true;
}

void ErrorLog::Add(std::string_view call, uint64_t offset, uint64_t length,
                   const Error& error) {
  uint64_t unsaid = 0;
  if (!Admit(&unsaid)) return;
  LogError("device call failed", {{"call", call},
                                  {"offset", offset},
                                  {"length", length},
                                  {"code", CodeName(error.code)},
                                  {"cause", error.message},
                                  {"unsaid_before", unsaid}});
}

}  // namespace morsel
