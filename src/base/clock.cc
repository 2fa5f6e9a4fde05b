// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <array>
#include <ctime>

namespace morsel {
namespace {

class MachineClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override {
    return std::chrono::steady_clock::now();
  }
  int64_t UnixSeconds() override { return std::time(nullptr); }
};

}  // namespace

Clock& SystemClock() {
  static MachineClock clock;
  return clock;
}

std::string FormatUtc(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  if (::gmtime_r(&time, &parts) == nullptr) return "?";
  std::array<char, 40> text;
  const size_t n =
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return std::string(text.data(), n);
}

}  // namespace morsel
