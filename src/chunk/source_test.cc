// SPDX-License-Identifier: Apache-2.0
// The decorators that answer on the caller's thread; coalesce_source_test.cc
// has the other one.
#include <gtest/gtest.h>

#include "chunk/delay_source.h"
#include "chunk/fault_source.h"
#include "chunk/memory_source.h"
#include "chunk/source_fixture.h"
#include "chunk/stats_source.h"
#include "chunk/tiered_source.h"
#include "chunk/verify_source.h"

namespace morsel {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Code CodeOf(const Result<ChunkView>& result) { return result.error().code; }

TEST(MemorySourceTest, GivesWhatItWasOffered) {
  const TestChunk chunk = MakeTestChunk(1);
  MemorySource source;
  EXPECT_EQ(CodeOf(source.Get(chunk.ref, WholeChunk(chunk.ref))),
            Code::kNotFound);
  source.Offer(chunk.ref, chunk.bytes);
  const auto view = source.Get(chunk.ref, WholeChunk(chunk.ref));
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->Copy(), chunk.bytes);
  EXPECT_EQ(CodeOf(source.Get(chunk.ref, {.deadline = Deadline{}})),
            Code::kTimeout);
}

TEST(VerifySourceTest, PassesOnWhatIsItsName) {
  const TestChunk chunk = MakeTestChunk(2);
  MemorySource memory;
  memory.Offer(chunk.ref, chunk.bytes);
  VerifySource source(memory, "memory");
  const auto view = source.Get(chunk.ref, WholeChunk(chunk.ref));
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->Copy(), chunk.bytes);
  EXPECT_EQ(source.corrupt_chunks(), 0u);
}

TEST(VerifySourceTest, FindsFlippedBitsAndWrongLengths) {
  const TestChunk chunk = MakeTestChunk(3);
  Bytes flipped = chunk.bytes;
  flipped[5000] ^= std::byte{4};
  Bytes shorter = chunk.bytes;
  shorter.resize(2 * kPageSize);
  MemorySource memory;
  VerifySource source(memory, "zone cache");
  uint64_t found = 0;
  for (const Bytes& bytes : {flipped, shorter, Bytes()}) {
    memory.Offer(chunk.ref, bytes);
    const auto view = source.Get(chunk.ref, WholeChunk(chunk.ref));
    ASSERT_FALSE(view.ok());
    EXPECT_EQ(CodeOf(view), Code::kCorrupt);
    EXPECT_NE(view.error().message.find(chunk.ref.name.Short()),
              std::string::npos);
    EXPECT_NE(view.error().message.find("zone cache"), std::string::npos);
    EXPECT_EQ(source.corrupt_chunks(), ++found);
  }
}

TEST(VerifySourceTest, AsksForOwnedBytesWhenAViewWasTakenBack) {
  const TestChunk chunk = MakeTestChunk(4);
  ScriptedSource next([&](const ChunkRef&, const Want& want) {
    EXPECT_EQ(want.length, chunk.ref.stored_length);
    return Result<ChunkView>(want.owned ? ChunkView::Owned(chunk.bytes)
                                        : StaleView(chunk));
  });
  VerifySource source(next, "memory");
  Want want = WholeChunk(chunk.ref);
  want.length = 1;
  EXPECT_TRUE(source.Get(chunk.ref, want).ok());
  EXPECT_EQ(next.calls, 2);
}

TEST(VerifySourceTest, SourceThatBreaksItsPromiseIsUnavailable) {
  const TestChunk chunk = MakeTestChunk(5);
  ScriptedSource next([&](const ChunkRef&, const Want&) {
    return Result<ChunkView>(StaleView(chunk));
  });
  VerifySource source(next, "memory");
  EXPECT_EQ(CodeOf(source.Get(chunk.ref, WholeChunk(chunk.ref))),
            Code::kUnavailable);
}

TEST(TieredSourceTest, FillsTheFirstTierFromTheNext) {
  const TestChunk chunk = MakeTestChunk(6);
  MemorySource near;
  MemorySource far;
  far.Offer(chunk.ref, chunk.bytes);
  TieredSource source(near, far, &near);
  for (int round = 0; round < 2; ++round) {
    const auto view = source.Get(chunk.ref, WholeChunk(chunk.ref));
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->Copy(), chunk.bytes);
  }
  EXPECT_EQ(near.chunk_count(), 1u);
  EXPECT_EQ(source.Stats().misses, 1u);
  EXPECT_EQ(source.Stats().first_hits, 1u);
  EXPECT_EQ(source.Stats().fallbacks, 0u);
}

TEST(TieredSourceTest, NeverFillsFromBytesThatWereTakenBack) {
  const TestChunk chunk = MakeTestChunk(7);
  MemorySource near;
  ScriptedSource far([&](const ChunkRef&, const Want&) {
    return Result<ChunkView>(StaleView(chunk));
  });
  TieredSource source(near, far, &near);
  const auto view = source.Get(chunk.ref, WholeChunk(chunk.ref));
  ASSERT_TRUE(view.ok());
  EXPECT_FALSE(view->still_valid());
  EXPECT_EQ(near.chunk_count(), 0u);
}

TEST(TieredSourceTest, PassesOverATierThatFails) {
  const TestChunk chunk = MakeTestChunk(8);
  MemorySource far;
  far.Offer(chunk.ref, chunk.bytes);
  uint64_t fallbacks = 0;
  for (const Code code :
       {Code::kCorrupt, Code::kUnavailable, Code::kTimeout, Code::kExhausted}) {
    ScriptedSource near = FailingSource(code);
    TieredSource source(near, far, nullptr);
    EXPECT_TRUE(source.Get(chunk.ref, WholeChunk(chunk.ref)).ok());
    fallbacks += source.Stats().fallbacks;
  }
  EXPECT_EQ(fallbacks, 4u);
}

TEST(TieredSourceTest, NotFoundBehindAFailureIsTheFailure) {
  const TestChunk chunk = MakeTestChunk(9);
  MemorySource empty;
  ScriptedSource away = FailingSource(Code::kUnavailable);
  ScriptedSource damaged = FailingSource(Code::kCorrupt);
  const auto ask = [&](ChunkSource& first, ChunkSource& next) {
    TieredSource source(first, next, nullptr);
    return CodeOf(source.Get(chunk.ref, WholeChunk(chunk.ref)));
  };
  EXPECT_EQ(ask(away, empty), Code::kUnavailable);
  EXPECT_EQ(ask(empty, away), Code::kUnavailable);
  EXPECT_EQ(ask(empty, empty), Code::kNotFound);
  EXPECT_EQ(ask(away, damaged), Code::kCorrupt);
}

TEST(StatsSourceTest, CountsAnswersByKind) {
  const TestChunk chunk = MakeTestChunk(10);
  const Code codes[] = {Code::kNotFound, Code::kCorrupt, Code::kTimeout,
                        Code::kUnavailable};
  int call = 0;
  ScriptedSource next([&](const ChunkRef&, const Want&) -> Result<ChunkView> {
    if (call < 4) return MakeError(codes[call++], "scripted");
    return ChunkView::Owned(chunk.bytes);
  });
  StatsSource source(next);
  for (int i = 0; i < 6; ++i) {
    static_cast<void>(source.Get(chunk.ref, WholeChunk(chunk.ref)));
  }
  const ChunkSourceStats stats = source.Stats();
  EXPECT_EQ(stats.gets, 6u);
  EXPECT_EQ(stats.not_found, 1u);
  EXPECT_EQ(stats.corrupt, 1u);
  EXPECT_EQ(stats.failed, 2u);
  EXPECT_EQ(stats.bytes, 2 * chunk.bytes.size());
}

class StoppedClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override { return now; }
  int64_t UnixSeconds() override { return 0; }

  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
};

TEST(DelaySourceTest, WaitsAsLongAsTold) {
  const TestChunk chunk = MakeTestChunk(11);
  ScriptedSource next([&](const ChunkRef&, const Want&) {
    return Result<ChunkView>(ChunkView::Owned(chunk.bytes));
  });
  StoppedClock clock;
  const auto begin = clock.now;
  DelaySource source(next, clock,
                     {.delay = milliseconds(30),
                      .jitter = milliseconds(10),
                      .seed = 7,
                      .wait_until = [&](auto moment) { clock.now = moment; }});
  const Want want{.deadline = begin + std::chrono::hours(1)};
  for (int i = 1; i <= 20; ++i) {
    const auto before = clock.now;
    ASSERT_TRUE(source.Get(chunk.ref, want).ok());
    EXPECT_GE(clock.now - before, milliseconds(30));
    EXPECT_LE(clock.now - before, milliseconds(40));
  }
  EXPECT_EQ(next.calls, 20);
}

TEST(DelaySourceTest, GivesUpAtTheDeadline) {
  const TestChunk chunk = MakeTestChunk(12);
  ScriptedSource next = FailingSource(Code::kInternal);
  StoppedClock clock;
  DelaySource source(next, clock,
                     {.delay = milliseconds(30),
                      .wait_until = [&](auto moment) { clock.now = moment; }});
  const Want want{.deadline = clock.now + milliseconds(20)};
  EXPECT_EQ(CodeOf(source.Get(chunk.ref, want)), Code::kTimeout);
  EXPECT_EQ(clock.now, want.deadline);
  EXPECT_EQ(next.calls, 0);
}

TEST(DelaySourceTest, SleepsByItself) {
  MemorySource memory;
  const TestChunk chunk = MakeTestChunk(13);
  DelaySource source(memory, SystemClock(), {.delay = microseconds(1)});
  const auto begin = SystemClock().Now();
  EXPECT_EQ(CodeOf(source.Get(chunk.ref, WholeChunk(chunk.ref))),
            Code::kNotFound);
  EXPECT_GE(SystemClock().Now() - begin, microseconds(1));
}

TEST(FaultSourceTest, FailsTheCallsThatItIsTold) {
  const TestChunk chunk = MakeTestChunk(14);
  const TestChunk other = MakeTestChunk(15);
  MemorySource memory;
  memory.Offer(chunk.ref, chunk.bytes);
  memory.Offer(other.ref, other.bytes);
  FaultSource source(memory,
                     {{.code = Code::kExhausted,
                       .chunk = chunk.ref.name,
                       .from_call = 2,
                       .call_count = 1}},
                     1);
  const Want want = WholeChunk(chunk.ref);
  EXPECT_TRUE(source.Get(chunk.ref, want).ok());
  EXPECT_TRUE(source.Get(other.ref, want).ok());
  EXPECT_EQ(CodeOf(source.Get(chunk.ref, want)), Code::kExhausted);
  EXPECT_TRUE(source.Get(chunk.ref, want).ok());
}

TEST(FaultSourceTest, VerifyFindsEveryFlipAndTruncation) {
  const TestChunk chunk = MakeTestChunk(16);
  MemorySource memory;
  memory.Offer(chunk.ref, chunk.bytes);
  for (const auto kind :
       {ChunkFaultRule::Kind::kFlip, ChunkFaultRule::Kind::kTruncate}) {
    FaultSource fault(memory, {{.kind = kind}}, 3);
    VerifySource source(fault, "memory");
    for (int i = 0; i < 50; ++i) {
      ASSERT_EQ(CodeOf(source.Get(chunk.ref, WholeChunk(chunk.ref))),
                Code::kCorrupt);
    }
  }
}

TEST(FaultSourceTest, SameSeedGivesTheSameRun) {
  const TestChunk chunk = MakeTestChunk(17);
  MemorySource memory;
  memory.Offer(chunk.ref, chunk.bytes);
  const auto run = [&](uint64_t seed) {
    FaultSource source(memory, {{.probability = 0.5}}, seed);
    std::string said;
    for (int i = 0; i < 64; ++i) {
      const bool ok = source.Get(chunk.ref, WholeChunk(chunk.ref)).ok();
      said.push_back(ok ? '.' : 'x');
    }
    return said;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  EXPECT_NE(run(1).find('x'), std::string::npos);
}

}  // namespace
}  // namespace morsel
