// SPDX-License-Identifier: Apache-2.0
#include "store/filter_store.h"

#include <gtest/gtest.h>

#include <bit>

#include "store/fault_store.h"
#include "store/memory_store.h"
#include "store/stats_store.h"
#include "store/throttle_store.h"

namespace morsel {
namespace {

class TestClock final : public Clock {
 public:
  Deadline Now() override { return now_; }
  int64_t UnixSeconds() override { return 0; }
  void Set(Deadline now) { now_ = now; }

 private:
  Deadline now_{std::chrono::seconds(100)};
};

TEST(FaultStore, FailsTheNthCallOfAnOperation) {
  MemoryStore memory;
  FaultStore store(memory,
                   {{.code = Code::kExhausted,
                     .op = StoreOp::kPut,
                     .key_prefix = "a/",
                     .from_call = 2,
                     .call_count = 1}},
                   1);
  EXPECT_TRUE(store.Put("a/1", {}).ok());
  EXPECT_TRUE(store.Put("b", {}).ok());
  EXPECT_EQ(store.Put("a/2", {}).error().code, Code::kExhausted);
  EXPECT_TRUE(store.Put("a/3", {}).ok());
  EXPECT_EQ(memory.Head("a/2").error().code, Code::kNotFound);
}

TEST(FaultStore, LosesTheReplyOfAWriteThatWasMade) {
  MemoryStore memory;
  FaultStore store(memory,
                   {{.kind = FaultRule::Kind::kLostReply,
                     .code = Code::kTimeout,
                     .op = StoreOp::kPutIfAbsent}},
                   1);
  EXPECT_EQ(store.PutIfAbsent("k", {}).error().code, Code::kTimeout);
  EXPECT_TRUE(memory.Head("k").ok());
}

TEST(FaultStore, FlipsOneBitAndTruncates) {
  MemoryStore memory;
  const Bytes bytes(1000);
  ASSERT_TRUE(memory.Put("k", bytes).ok());
  FaultStore flip(memory, {{.kind = FaultRule::Kind::kFlip}}, 7);
  const Result<ObjectData> data = flip.Get("k", 0, 1000);
  ASSERT_TRUE(data.ok());
  int bits = 0;
  for (const std::byte b : data->bytes)
    bits += std::popcount(static_cast<unsigned char>(b));
  EXPECT_EQ(bits, 1);
  FaultStore cut(memory, {{.kind = FaultRule::Kind::kTruncate}}, 7);
  EXPECT_EQ(cut.Get("k", 0, 1000)->bytes.size(), 500u);
}

TEST(FaultStore, TheSameSeedGivesTheSameFaults) {
  MemoryStore memory;
  const auto run = [&](uint64_t seed) {
    FaultStore store(memory, {{.probability = 0.5}}, seed);
    std::string pattern;
    for (int i = 0; i < 64; ++i) pattern += store.Put("k", {}).ok() ? '.' : 'x';
    return pattern;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  EXPECT_NE(run(1).find('x'), std::string::npos);
  EXPECT_NE(run(1).find('.'), std::string::npos);
}

TEST(ThrottleStore, DelaysCallsAndSharesTheRate) {
  MemoryStore memory;
  TestClock clock;
  const Deadline begin = clock.Now();
  ThrottleStore store(memory, clock,
                      {.delay = std::chrono::milliseconds(36),
                       .bytes_per_second = 1000,
                       .wait_until = [&](Deadline t) { clock.Set(t); }});
  ASSERT_TRUE(store.Put("k", Bytes(500)).ok());
  EXPECT_EQ(clock.Now() - begin, std::chrono::milliseconds(536));
  ASSERT_TRUE(store.Get("k", 0, 250).ok());
  EXPECT_EQ(clock.Now() - begin, std::chrono::milliseconds(536 + 36 + 250));
}

TEST(ThrottleStore, SharesARateOfCalls) {
  MemoryStore memory;
  TestClock clock;
  const Deadline begin = clock.Now();
  ThrottleStore store(
      memory, clock,
      {.calls_per_second = 4, .wait_until = [&](Deadline t) { clock.Set(t); }});
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(store.Delete("k").ok());
  EXPECT_EQ(clock.Now() - begin, std::chrono::seconds(2));
}

TEST(StatsStore, CountsCallsErrorsAndBytes) {
  MemoryStore memory;
  StatsStore store(memory);
  EXPECT_TRUE(store.PutIfAbsent("k", Bytes(10)).ok());
  EXPECT_FALSE(store.PutIfAbsent("k", Bytes(10)).ok());
  EXPECT_TRUE(store.Get("k", 4, 100).ok());
  EXPECT_FALSE(store.Head("none").ok());
  EXPECT_TRUE(store.Copy("k", "j").ok());
  EXPECT_TRUE(store.List("", "", 10).ok());
  EXPECT_TRUE(store.Delete("j").ok());
  EXPECT_EQ(store.Of(StoreOp::kPutIfAbsent).calls, 2u);
  EXPECT_EQ(store.Of(StoreOp::kPutIfAbsent).errors, 1u);
  EXPECT_EQ(store.Of(StoreOp::kPutIfAbsent).bytes, 10u);
  EXPECT_EQ(store.Of(StoreOp::kGet).bytes, 6u);
  EXPECT_EQ(store.Of(StoreOp::kHead).errors, 1u);
  EXPECT_EQ(store.Of(StoreOp::kList).calls, 1u);
  EXPECT_EQ(store.Of(StoreOp::kDelete).calls, 1u);
  EXPECT_EQ(store.Of(StoreOp::kCopy).calls, 1u);
}

}  // namespace
}  // namespace morsel
