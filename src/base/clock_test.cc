// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <gmock/gmock.h>

#include <cstdint>

#include "base/random.h"

namespace morsel {
namespace {

TEST(ClockTest, UtcIsPrintedWhateverTheTimeZone) {
  EXPECT_EQ(FormatUtc(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatUtc(1795491600), "2026-11-24T03:40:00Z");
  EXPECT_EQ(FormatUtc(-1), "1969-12-31T23:59:59Z");
  EXPECT_EQ(FormatUtc(INT64_MAX), "?");
}

TEST(ClockTest, TimeDoesNotGoBack) {
  const auto before = SystemClock().Now();
  EXPECT_GE(SystemClock().Now(), before);
}

TEST(RandomTest, IdsHaveTheirLengthAndDiffer) {
  const std::string one = RandomHex(SystemRandom(), 16);
  EXPECT_EQ(one.size(), 32U);
  EXPECT_NE(one, RandomHex(SystemRandom(), 16));
}

}  // namespace
}  // namespace morsel
