// SPDX-License-Identifier: Apache-2.0
#include "base/progress.h"

#include <gmock/gmock.h>

#include <atomic>

#include "base/bytes.h"

namespace morsel {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class FakeClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override {
    return std::chrono::steady_clock::time_point(
        std::chrono::milliseconds(now_ms));
  }
  int64_t UnixSeconds() override { return now_ms / 1000; }

  std::atomic<int64_t> now_ms{1000};
};

size_t Drawings(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\r'));
}

TEST(ProgressTest, NothingIsDrawnWhereThereIsNoTerminal) {
  FakeClock clock;
  ::testing::internal::CaptureStderr();
  {
    Progress progress(clock, false);
    progress.Begin("reading", 100);
    progress.Add(50);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(ProgressTest, TheBarShowsRateAndRemainingTime) {
  FakeClock clock;
  Progress progress(clock, true);
  ::testing::internal::CaptureStderr();
  progress.Begin("reading", 10 * kMiB);
  clock.now_ms += 2000;
  progress.Add(5 * kMiB);
  EXPECT_THAT(
      ::testing::internal::GetCapturedStderr(),
      EndsWith("reading [============            ] 5.0 MiB of 10.0 MiB  "
               "2.5 MiB/s  2 s left"));
  ::testing::internal::CaptureStderr();
  progress.End();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), EndsWith("\n"));
}

TEST(ProgressTest, ManyAddsDrawAtMostTenTimesASecond) {
  FakeClock clock;
  Progress progress(clock, true);
  ::testing::internal::CaptureStderr();
  progress.Begin("sealing", 0);
  for (int i = 0; i < 1000; ++i) {
    ++clock.now_ms;
    progress.Add(1);
  }
  progress.End();
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_LE(Drawings(text), 12U);
  EXPECT_THAT(text, HasSubstr("1000 B"));
}

TEST(ProgressTest, MoreThanTheTotalDoesNotBreakTheBar) {
  FakeClock clock;
  Progress progress(clock, true);
  ::testing::internal::CaptureStderr();
  progress.Begin("reading", 10);
  clock.now_ms += 1000;
  progress.Add(30);
  progress.End();
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("[========================] 30 B of 10 B"));
}

}  // namespace
}  // namespace morsel
