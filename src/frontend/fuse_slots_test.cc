// SPDX-License-Identifier: Apache-2.0
#include "frontend/fuse_slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <unistd.h>

#include <cstring>

namespace morsel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Action = HeldRequest::Action;

constexpr size_t kThreads = 4;

constexpr seconds kPatience(60);
constexpr seconds kUnsuspicious(3);  // of that patience
constexpr seconds kSuspicious(30);

class FuseSlotsTest : public testing::Test {
 protected:
  FuseSlotsTest() : slots_(Make()) {}

  // What the kernel does when a thread reads.
  void Receive(size_t thread, uint64_t unique, uint32_t opcode) {
    fuse_in_header header{};
    header.len = sizeof(header) + 64;
    header.unique = unique;
    header.opcode = opcode;
    std::memcpy(slots_.slot(thread).data(), &header, sizeof(header));
  }
  void Begin(size_t thread, uint64_t unique) {
    slots_.Begin(thread, unique, FUSE_READ, Now());
  }
  void Execute(size_t thread, uint64_t unique, int64_t result) {
    slots_.mark(thread).result.store(result);
    slots_.mark(thread).executed.store(unique);
  }
  void Finish(size_t thread, uint64_t unique) {
    slots_.mark(thread).answered.store(unique);
    slots_.mark(thread).finished.fetch_add(1);
  }
  std::chrono::steady_clock::time_point Now() const {
    return std::chrono::steady_clock::time_point(now_);
  }
  // For a while.
  void Serve() {
    slots_.SetServing(Now());
    now_ += kUnsuspicious;
  }
  bool Die(bool killed, bool awaited = false) {
    return slots_.CountDeath({.killed = killed,
                              .awaited = awaited,
                              .now = Now(),
                              .patience = kPatience});
  }
  // The actions of all held requests, in order.
  std::vector<Action> Actions() const {
    std::vector<Action> actions;
    for (const HeldRequest& held : slots_.Held())
      actions.push_back(held.action);
    return actions;
  }

  FuseSlots slots_;
  milliseconds now_ = seconds(1000);

 private:
  static FuseSlots Make() {
    Result<Fd> file = MakeMemoryFile("slots", {});
    EXPECT_TRUE(file.ok());
    EXPECT_EQ(::ftruncate(file->get(),
                          static_cast<off_t>(FuseSlots::FileSize(kThreads))),
              0);
    Result<FuseSlots> slots =
        FuseSlots::Map(file->get(), kThreads, FuseSlots::Part::kWhole);
    EXPECT_TRUE(slots.ok());
    return std::move(*slots);
  }
};

TEST_F(FuseSlotsTest, ANewFileHoldsNothing) {
  EXPECT_TRUE(slots_.Held().empty());
  EXPECT_TRUE(slots_.Init().empty());
  EXPECT_FALSE(slots_.IsServing());
}

TEST_F(FuseSlotsTest, RemembersTheInit) {
  const Bytes request(80, std::byte{7});
  slots_.RecordInit(request);
  EXPECT_EQ(slots_.Init(), request);
}

TEST_F(FuseSlotsTest, FindsAnInitThatWasReceivedButNotRecorded) {
  Receive(0, 2, FUSE_INIT);
  EXPECT_EQ(slots_.Init().size(), sizeof(fuse_in_header) + 64);
}

TEST_F(FuseSlotsTest, HandsOutWhatWasLeftByTheAgeOfTheRequests) {
  Receive(0, 40, FUSE_WRITE);
  Receive(1, 10, FUSE_FALLOCATE);
  Receive(2, 30, FUSE_READ);
  Receive(3, 20, FUSE_FSYNC);
  const std::vector<HeldRequest> held = slots_.Held();
  ASSERT_EQ(held.size(), 4U);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(held[i].unique, 10 * (i + 1));
  EXPECT_EQ(held[0].slot, 1U);
  EXPECT_THAT(Actions(),
              testing::ElementsAre(Action::kChange, Action::kChange,
                                   Action::kExecute, Action::kChange));
}

TEST_F(FuseSlotsTest, WhatWasExecutedIsOnlyAnswered) {
  Receive(2, 10, FUSE_WRITE);
  Begin(2, 10);
  Execute(2, 10, 4096);
  const std::vector<HeldRequest> held = slots_.Held();
  ASSERT_EQ(held.size(), 1U);
  EXPECT_EQ(held[0].action, Action::kAnswer);
  EXPECT_EQ(held[0].result, 4096);
}

TEST_F(FuseSlotsTest, AMarkIsOfItsOwnRequestAlone) {
  Receive(0, 10, FUSE_WRITE);
  Execute(0, 10, 4096);
  Finish(0, 10);
  EXPECT_TRUE(slots_.Held().empty());
  Receive(0, 12, FUSE_WRITE);
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kChange));
}

TEST_F(FuseSlotsTest, WhatNobodyWaitsForIsDropped) {
  Receive(0, 10, FUSE_FORGET);
  Receive(1, 13, FUSE_INTERRUPT);
  Receive(2, 14, FUSE_INIT);
  EXPECT_THAT(Actions(), testing::Each(Action::kDrop));
}

TEST_F(FuseSlotsTest, ARequestThatWasInWorkAtThreeDeathsFails) {
  Receive(0, 10, FUSE_READ);
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(Actions(), testing::ElementsAre(Action::kExecute));
    Begin(0, 10);
    Die(false);
  }
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kFail));
  Finish(0, 10);
  Receive(0, 12, FUSE_READ);
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kExecute));
}

TEST_F(FuseSlotsTest, AQuickKillIsNotTheRequestsFault) {
  Receive(0, 10, FUSE_WRITE);
  for (int i = 0; i < 20; ++i) {
    Begin(0, 10);
    Die(true);
  }
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kChange));
  for (int i = 0; i < 3; ++i) {
    Begin(0, 10);
    now_ += kUnsuspicious;
    Die(true);
  }
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kFail));
}

TEST_F(FuseSlotsTest, QuickKillsAreARequestsFaultOnceTheyHaveGoneOnForLong) {
  Receive(0, 10, FUSE_WRITE);
  const milliseconds begun = now_;
  uint64_t other = 100;
  const auto live = [&] {
    Begin(0, 10);
    Begin(1, ++other);
    Finish(1, other);  // the device itself is well
    now_ += seconds(1);
    EXPECT_TRUE(Die(true));
  };
  while (now_ + seconds(1) < begun + kSuspicious) live();
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kChange));
  for (int i = 0; i < 3; ++i) live();
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kFail));
}

TEST_F(FuseSlotsTest, ARequestThatNothingElseIsDoneBesideFailsBeforeTheDevice) {
  Receive(0, 10, FUSE_READ);
  while (Actions().front() != Action::kFail) {
    slots_.SetServing(Now());
    Begin(0, 10);
    now_ += seconds(1);
    ASSERT_TRUE(Die(true));
  }
}

TEST_F(FuseSlotsTest, KillsWithoutEndAreNoFaultOfRequestsThatGetDone) {
  uint64_t unique = 10;
  for (int i = 0; i < 400; ++i) {
    if (i % 5 == 0) Finish(0, unique++);
    Receive(0, unique, FUSE_WRITE);
    Begin(0, unique);
    now_ += seconds(1);
    ASSERT_TRUE(Die(true));
    ASSERT_THAT(Actions(), testing::ElementsAre(Action::kChange));
  }
}

TEST_F(FuseSlotsTest, ADeathBeforeARequestIsBegunAgainIsNotItsFault) {
  Receive(0, 10, FUSE_WRITE);
  Begin(0, 10);
  now_ += kSuspicious;
  for (int i = 0; i < 20; ++i) Die(true, true);
  EXPECT_THAT(Actions(), testing::ElementsAre(Action::kChange));
}

TEST_F(FuseSlotsTest, FiveDeathsWithNothingFinishedEndTheDevice) {
  Receive(0, 10, FUSE_READ);
  Begin(0, 10);
  for (int i = 0; i < 4; ++i) {
    Serve();
    EXPECT_TRUE(Die(true));
  }
  Serve();
  EXPECT_FALSE(Die(true));
}

TEST_F(FuseSlotsTest, AFinishedRequestBeginsTheCountAnew) {
  Receive(0, 10, FUSE_READ);
  Begin(0, 10);
  for (uint64_t i = 0; i < 20; ++i) {
    Serve();
    EXPECT_TRUE(Die(true));
    if (i % 4 == 3) Finish(1, 100 + i);
    Begin(1, 100 + i);
  }
}

TEST_F(FuseSlotsTest, NobodyWaitsForAnIdleDevice) {
  for (int i = 0; i < 20; ++i) {
    Serve();
    EXPECT_TRUE(Die(true));
  }
}

TEST_F(FuseSlotsTest, AChildThatCannotStartIsTriedFiveTimes) {
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Die(false));
  EXPECT_FALSE(Die(false));
}

TEST_F(FuseSlotsTest, AKillJustAfterTheStartIsNotTheChildsFault) {
  for (int i = 0; i < 20; ++i) {
    slots_.SetServing(Now());
    EXPECT_TRUE(Die(true, true));
  }
}

TEST_F(FuseSlotsTest, KillsDuringTheStartEndTheDeviceOnlyAfterATime) {
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Die(true, true));
  now_ += seconds(59);
  EXPECT_TRUE(Die(true, true));
  now_ += seconds(1);
  EXPECT_FALSE(Die(true, true));
}

TEST_F(FuseSlotsTest, CanBeLocked) { EXPECT_TRUE(slots_.LockInMemory().ok()); }

}  // namespace
}  // namespace morsel
