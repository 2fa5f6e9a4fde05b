// SPDX-License-Identifier: Apache-2.0
#include "net/retry.h"

#include <gtest/gtest.h>

#include <vector>

namespace morsel {
namespace {

using std::chrono::milliseconds;

struct Waits {
  std::vector<milliseconds> all;
  RetryOptions Options(uint64_t bucket) {
    return {.bucket = bucket,
            .wait = [this](milliseconds time) { all.push_back(time); }};
  }
};

TEST(RetryBudgetTest, TriesACallAFewTimesOnly) {
  Waits waits;
  RetryBudget budget(waits.Options(100));
  int tries = 1;
  while (budget.TryAgain(tries)) ++tries;
  EXPECT_EQ(tries, RetryOptions().max_tries);
}

TEST(RetryBudgetTest, PausesGrowWithinTheirLimit) {
  Waits waits;
  RetryBudget budget({.max_tries = 12, .wait = waits.Options(100).wait});
  for (int i = 1; budget.TryAgain(i); ++i)
    EXPECT_LE(waits.all.back(),
              std::min(milliseconds(50) * (1 << (i - 1)), milliseconds(3000)));
  EXPECT_TRUE(budget.TryAgain(1, milliseconds(2000)));
  EXPECT_GE(waits.all.back(), milliseconds(2000));
  EXPECT_TRUE(budget.TryAgain(1, milliseconds(2'000'000)));
  EXPECT_LE(waits.all.back(), milliseconds(3000));
}

TEST(RetryBudgetTest, AServiceThatIsDownGetsTheBucketAndNoMore) {
  Waits waits;
  RetryBudget budget(waits.Options(7));
  int retries = 0;
  for (int call = 0; call < 1000; ++call)
    for (int tries = 1; budget.TryAgain(tries); ++tries) ++retries;
  EXPECT_EQ(retries, 7);
}

TEST(RetryBudgetTest, SuccessesFillTheBucketByTenths) {
  Waits waits;
  RetryBudget budget(waits.Options(2));
  EXPECT_TRUE(budget.TryAgain(1));
  EXPECT_TRUE(budget.TryAgain(1));
  EXPECT_FALSE(budget.TryAgain(1));
  for (int i = 0; i < 10; ++i) budget.Succeeded();
  EXPECT_TRUE(budget.TryAgain(1));
  EXPECT_FALSE(budget.TryAgain(1));
  for (int i = 0; i < 1000; ++i) budget.Succeeded();
  EXPECT_TRUE(budget.TryAgain(1));
  EXPECT_TRUE(budget.TryAgain(1));
  EXPECT_FALSE(budget.TryAgain(1));
}

}  // namespace
}  // namespace morsel
