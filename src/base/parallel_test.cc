// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <gmock/gmock.h>

#include <atomic>
#include <latch>

namespace morsel {
namespace {

TEST(JobPoolTest, FinishReturnsWhenEveryJobHasRun) {
  JobPool pool(4, 8);
  std::atomic<int> done{0};
  for (int round = 1; round <= 2; ++round) {
    for (int i = 0; i < 500; ++i)
      ASSERT_TRUE(pool.Submit([&done] {
                        ++done;
                        return Ok();
                      })
                      .ok());
    ASSERT_TRUE(pool.Finish().ok());
    EXPECT_EQ(done, round * 500);
  }
}

TEST(JobPoolTest, JobsRunAtTheSameTimeOnDifferentThreads) {
  JobPool pool(3, 3);
  std::latch all_here(3);
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(pool.Submit([&all_here] {
                      all_here.arrive_and_wait();
                      return Ok();
                    })
                    .ok());
  EXPECT_TRUE(pool.Finish().ok());
}

TEST(JobPoolTest, TheFirstErrorStopsTheRestAndIsGivenOnce) {
  JobPool pool(1, 1);
  int later_jobs = 0;
  ASSERT_TRUE(
      pool.Submit([] { return MakeError(Code::kIo, "disk gone"); }).ok());
  Status status = Ok();
  for (int i = 0; i < 1000 && status.ok(); ++i)
    status = pool.Submit([&later_jobs] {
      ++later_jobs;
      return Ok();
    });
  EXPECT_EQ(status.ok() ? Code::kInternal : status.error().code, Code::kIo);
  EXPECT_EQ(pool.Finish().error().message, "disk gone");
  EXPECT_EQ(later_jobs, 0);
  EXPECT_TRUE(pool.Finish().ok());
  EXPECT_TRUE(pool.Submit([] { return Ok(); }).ok());
  EXPECT_TRUE(pool.Finish().ok());
}

TEST(JobPoolTest, SubmitWaitsWhileTheQueueIsFull) {
  JobPool pool(1, 2);
  std::latch gate(1);
  std::atomic<int> submitted{0};
  std::jthread owner([&] {
    for (int i = 0; i < 4; ++i) {
      EXPECT_TRUE(pool.Submit([&gate] {
                        gate.wait();
                        return Ok();
                      })
                      .ok());
      ++submitted;
    }
    EXPECT_TRUE(pool.Finish().ok());
  });
  // One runs, two wait; the fourth cannot be in before the gate opens.
  EXPECT_LE(submitted, 3);
  gate.count_down();
  owner.join();
  EXPECT_EQ(submitted, 4);
}

TEST(JobPoolTest, DestructionWaitsForTheRunningJobAndDropsTheQueue) {
  std::latch started(1);
  std::latch gate(1);
  std::atomic<int> ran{0};
  {
    JobPool pool(1, 10);
    for (int i = 0; i < 5; ++i)
      ASSERT_TRUE(pool.Submit([&] {
                        if (ran == 0) started.count_down();
                        gate.wait();
                        ++ran;
                        return Ok();
                      })
                      .ok());
    started.wait();
    std::jthread opener([&gate] { gate.count_down(); });
  }
  EXPECT_GE(ran, 1);
}

TEST(JobPoolTest, ThereIsAtLeastOneCore) { EXPECT_GE(UsableCores(), 1U); }

}  // namespace
}  // namespace morsel
