// SPDX-License-Identifier: Apache-2.0
#include "chunk/coalesce_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <semaphore>
#include <thread>
#include <vector>

#include "chunk/source_fixture.h"

namespace morsel {
namespace {

// A next source that holds each call until the test lets it go.
class Gate {
 public:
  void Pass() { gate_.acquire(); }
  void Open(int count) { gate_.release(count); }

 private:
  std::counting_semaphore<> gate_{0};
};

// Runs Get on a thread of its own.
class Call {
 public:
  Call(CoalesceSource& source, ChunkRef ref, Want want)
      : thread_([this, &source, ref = std::move(ref), want] {
          result_.emplace(source.Get(ref, want));
        }) {}

  // Joins.
  Result<ChunkView> Answer() {
    thread_.join();
    return *std::move(result_);
  }

 private:
  std::optional<Result<ChunkView>> result_;
  std::jthread thread_;
};

void AwaitWaiting(const CoalesceSource& source, size_t count) {
  while (source.waiting() != count) std::this_thread::yield();
}
void AwaitCalls(const ScriptedSource& source, int count) {
  while (source.calls < count) std::this_thread::yield();
}

TEST(CoalesceSourceTest, AsksOnceForAllWhoWait) {
  const TestChunk chunk = MakeTestChunk(1);
  Gate gate;
  ScriptedSource next([&](const ChunkRef&, const Want& want) {
    EXPECT_EQ(want.offset, 0u);
    EXPECT_EQ(want.length, chunk.ref.stored_length);
    gate.Pass();
    return Result<ChunkView>(ChunkView::Owned(chunk.bytes));
  });
  CoalesceSource source(next);
  Want want = WholeChunk(chunk.ref);
  want.offset = 4096;
  want.length = 1;
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 8; ++i) {
    calls.push_back(std::make_unique<Call>(source, chunk.ref, want));
  }
  AwaitWaiting(source, 7);
  gate.Open(1);
  for (const auto& call : calls) {
    const auto answer = call->Answer();
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->Copy(), chunk.bytes);
  }
  EXPECT_EQ(next.calls, 1);
  gate.Open(1);  // what was fetched once is asked for again later
  EXPECT_TRUE(source.Get(chunk.ref, want).ok());
  EXPECT_EQ(next.calls, 2);
}

TEST(CoalesceSourceTest, SharesAnError) {
  const TestChunk chunk = MakeTestChunk(2);
  Gate gate;
  ScriptedSource next([&](const ChunkRef&, const Want&) -> Result<ChunkView> {
    gate.Pass();
    return MakeError(Code::kUnavailable, "away");
  });
  CoalesceSource source(next);
  Call first(source, chunk.ref, WholeChunk(chunk.ref));
  Call second(source, chunk.ref, WholeChunk(chunk.ref));
  AwaitWaiting(source, 1);
  gate.Open(1);
  EXPECT_EQ(first.Answer().error().message, "away");
  EXPECT_EQ(second.Answer().error().code, Code::kUnavailable);
  EXPECT_EQ(next.calls, 1);
}

TEST(CoalesceSourceTest, WaiterLeavesAtItsOwnDeadline) {
  const TestChunk chunk = MakeTestChunk(3);
  Gate gate;
  ScriptedSource next([&](const ChunkRef&, const Want&) {
    gate.Pass();
    return Result<ChunkView>(ChunkView::Owned(chunk.bytes));
  });
  CoalesceSource source(next);
  Call patient(source, chunk.ref, WholeChunk(chunk.ref));
  AwaitCalls(next, 1);
  const auto late = source.Get(chunk.ref, {.deadline = Deadline{}});
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, Code::kTimeout);
  gate.Open(1);
  EXPECT_TRUE(patient.Answer().ok());
  EXPECT_EQ(next.calls, 1);
}

TEST(CoalesceSourceTest, AnotherAsksWhenTheDeadlineOfWhoAskedPasses) {
  const TestChunk chunk = MakeTestChunk(4);
  Gate gate;
  ScriptedSource next(
      [&](const ChunkRef&, const Want& want) -> Result<ChunkView> {
        gate.Pass();
        if (want.deadline == Deadline{}) return MakeError(Code::kTimeout, "");
        return ChunkView::Owned(chunk.bytes);
      });
  CoalesceSource source(next);
  Call hasty(source, chunk.ref, {.deadline = Deadline{}});
  AwaitCalls(next, 1);
  Call patient(source, chunk.ref, WholeChunk(chunk.ref));
  AwaitWaiting(source, 1);
  gate.Open(2);
  EXPECT_EQ(hasty.Answer().error().code, Code::kTimeout);
  EXPECT_TRUE(patient.Answer().ok());
  EXPECT_EQ(next.calls, 2);
}

TEST(CoalesceSourceTest, TriesTheRootOfEachWhoWaits) {
  const TestChunk chunk = MakeTestChunk(5);
  Gate gate;
  ScriptedSource next(
      [&](const ChunkRef& ref, const Want&) -> Result<ChunkView> {
        gate.Pass();
        if (ref.root != "r3") return MakeError(Code::kNotFound, "no such");
        return ChunkView::Owned(chunk.bytes);
      });
  CoalesceSource source(next);
  std::vector<std::unique_ptr<Call>> calls;
  ChunkRef ref = chunk.ref;
  for (const char* root : {"r1", "r1", "r2", "r3"}) {
    ref.root = root;
    calls.push_back(std::make_unique<Call>(source, ref, WholeChunk(ref)));
    if (calls.size() == 1) AwaitCalls(next, 1);
  }
  AwaitWaiting(source, 3);
  gate.Open(3);
  for (const auto& call : calls) EXPECT_TRUE(call->Answer().ok());
  EXPECT_LE(next.calls, 3);  // r1, perhaps r2, and r3, each once
}

TEST(CoalesceSourceTest, NotFoundInEveryRootIsTheAnswerForAll) {
  const TestChunk chunk = MakeTestChunk(6);
  Gate gate;
  ScriptedSource next([&](const ChunkRef&, const Want&) -> Result<ChunkView> {
    gate.Pass();
    return MakeError(Code::kNotFound, "no such");
  });
  CoalesceSource source(next);
  std::vector<std::unique_ptr<Call>> calls;
  ChunkRef ref = chunk.ref;
  for (const char* root : {"r1", "r2", "r1"}) {
    ref.root = root;
    calls.push_back(std::make_unique<Call>(source, ref, WholeChunk(ref)));
    if (calls.size() == 1) AwaitCalls(next, 1);
  }
  AwaitWaiting(source, 2);
  gate.Open(2);
  for (const auto& call : calls) {
    EXPECT_EQ(call->Answer().error().code, Code::kNotFound);
  }
  EXPECT_EQ(next.calls, 2);
}

TEST(CoalesceSourceTest, SharesOnlyBytesThatWereStillValid) {
  const TestChunk chunk = MakeTestChunk(7);
  Gate gate;
  ScriptedSource next([&](const ChunkRef&, const Want& want) {
    if (want.owned) return Result<ChunkView>(ChunkView::Owned(chunk.bytes));
    gate.Pass();
    return Result<ChunkView>(StaleView(chunk));
  });
  CoalesceSource source(next);
  Call first(source, chunk.ref, WholeChunk(chunk.ref));
  Call second(source, chunk.ref, WholeChunk(chunk.ref));
  AwaitWaiting(source, 1);
  gate.Open(1);
  EXPECT_TRUE(first.Answer()->still_valid());
  EXPECT_TRUE(second.Answer()->still_valid());
}

// Many threads, few chunks, random roots, deadlines and failures: every answer
// is the right bytes or an error, and nobody hangs.
TEST(CoalesceSourceTest, ManyThreadsAtOnce) {
  std::vector<TestChunk> chunks;
  for (uint64_t i = 0; i < 3; ++i) {
    chunks.push_back(MakeTestChunk(100 + i, kPageSize));
  }
  ScriptedSource next(
      [&](const ChunkRef& ref, const Want& want) -> Result<ChunkView> {
        std::this_thread::yield();
        if (SystemClock().Now() >= want.deadline) {
          return MakeError(Code::kTimeout, "late");
        }
        if (ref.root == "r0") return MakeError(Code::kNotFound, "no such");
        return ChunkView::Owned(
            std::ranges::find(chunks, ref.name, [](const TestChunk& c) {
              return c.ref.name;
            })->bytes);
      });
  CoalesceSource source(next);
  const auto work = [&](uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < 300; ++i) {
      const TestChunk& chunk = chunks[random() % chunks.size()];
      ChunkRef ref = chunk.ref;
      ref.root = random() % 4 == 0 ? "r0" : "r1";
      Want want = WholeChunk(ref);
      if (random() % 8 == 0) want.deadline = Deadline{};
      const auto answer = source.Get(ref, want);
      if (answer.ok()) {
        ASSERT_EQ(answer->Copy(), chunk.bytes) << seed;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (uint64_t seed = 1; seed <= 6; ++seed) threads.emplace_back(work, seed);
  }
  EXPECT_EQ(source.waiting(), 0u);
}

}  // namespace
}  // namespace morsel
