// SPDX-License-Identifier: Apache-2.0
#include "cache/memory_tier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "cache/test_clock.h"

namespace morsel {
namespace {

using std::chrono::seconds;

class MemoryTierTest : public testing::Test {
 protected:
  void Make(MemoryTierOptions options) {
    auto tier = MemoryTier::Make(std::move(options), clock_);
    ASSERT_TRUE(tier.ok());
    tier_ = std::move(tier).value();
  }
  std::string TextOf(std::string_view key) {
    const auto value = tier_->Get(key);
    return value.ok() ? std::string(value->bytes.text())
                      : std::string(CodeName(value.error().code));
  }
  Status Put(std::string_view key, std::string_view text) {
    return tier_->Put(key, {SharedBytes::Copy(text)}, false);
  }

  TestClock clock_;
  std::unique_ptr<MemoryTier> tier_;
};

TEST_F(MemoryTierTest, KeepsBytesAndNumbers) {
  Make({});
  const CacheValue value{SharedBytes::Copy("bytes"), 7, 8,
                         clock_.UnixSeconds() + 10};
  ASSERT_TRUE(tier_->Put("key", value, true).ok());
  const auto got = tier_->Get("key");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->bytes.text(), "bytes");
  EXPECT_EQ(got->flags, 7u);
  EXPECT_EQ(got->cas, 8u);
  EXPECT_EQ(TextOf("other"), "not found");
  clock_.Advance(seconds(10));
  EXPECT_EQ(TextOf("key"), "not found") << "expired";
  EXPECT_EQ(tier_->Stats().expired, 1u);
  EXPECT_EQ(tier_->Stats().entry_count, 0u);
}

TEST_F(MemoryTierTest, TakesOverABufferWithoutACopy) {
  Make({});
  auto buffer = tier_->Allocate(5);
  ASSERT_TRUE(buffer.ok());
  std::memcpy(buffer->span().data(), "bytes", 5);
  const std::byte* const at = buffer->span().data();
  ASSERT_TRUE(tier_->Put("key", {std::move(*buffer).Share()}, false).ok());
  EXPECT_EQ(tier_->Get("key")->bytes.span().data(), at);
}

TEST_F(MemoryTierTest, RefusesWhatIsTooLarge) {
  Make({});
  EXPECT_EQ(Put("", "x").error().code, Code::kInvalid);
  EXPECT_EQ(Put(std::string(251, 'k'), "x").error().code, Code::kInvalid);
  EXPECT_TRUE(Put(std::string(250, 'k'), "x").ok());
  EXPECT_EQ(Put("k", std::string(kMaxCacheValueBytes + 1, 'x')).error().code,
            Code::kInvalid);
  EXPECT_TRUE(Put("k", std::string(kMaxCacheValueBytes, 'x')).ok());
  EXPECT_EQ(tier_->Allocate(kMaxCacheValueBytes + 1).error().code,
            Code::kInvalid);
  MemoryTierOptions tiny;
  tiny.max_bytes = kMiB - 1;
  EXPECT_EQ(MemoryTier::Make(tiny, clock_).error().code, Code::kInvalid);
}

TEST_F(MemoryTierTest, AConditionSeesWhatItWouldReplace) {
  Make({});
  const auto if_absent = [](const CacheValue* existing) {
    return existing == nullptr;
  };
  const CacheValue first{SharedBytes::Copy("first"), 0, 0,
                         clock_.UnixSeconds() + 5};
  ASSERT_TRUE(tier_->Put("key", first, false, if_absent).ok());
  const CacheValue second{SharedBytes::Copy("second")};
  EXPECT_EQ(tier_->Put("key", second, false, if_absent).error().code,
            Code::kExists);
  EXPECT_EQ(TextOf("key"), "first");
  clock_.Advance(seconds(5));
  EXPECT_TRUE(tier_->Put("key", second, false, if_absent).ok());
  EXPECT_EQ(TextOf("key"), "second");
}

TEST_F(MemoryTierTest, VictimsGoToTheHookOnceWithTheirState) {
  std::map<std::string, bool> evicted;
  MemoryTierOptions options{.max_bytes = kMiB};
  options.on_evict = [&](std::string_view key, const CacheValue& value,
                         bool clean) {
    EXPECT_EQ(value.bytes.size(), 100'000u);
    EXPECT_TRUE(evicted.emplace(key, clean).second);
  };
  Make(options);
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(tier_
                    ->Put(std::to_string(i), {SharedBytes::Own(Bytes(100'000))},
                          i % 2 == 0)
                    .ok());
  EXPECT_EQ(evicted.size() + tier_->Stats().entry_count, 40u);
  EXPECT_GE(tier_->Stats().entry_count, 9u);
  for (const auto& [key, clean] : evicted) {
    EXPECT_EQ(clean, std::stoi(key) % 2 == 0);
    EXPECT_EQ(TextOf(key), "not found");
  }
}

TEST_F(MemoryTierTest, StaysUnderItsLimitUnderATenfoldLoadOfAnySizes) {
  MemoryTierOptions options{.max_bytes = 2 * kMiB};
  options.policy.correlated_period = std::chrono::milliseconds(0);
  Make(options);
  const uint64_t seed = 3;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const size_t largest : {size_t{300}, size_t{100 * kKiB}, size_t{40},
                               size_t{9000}, size_t{64 * kKiB}}) {
    uint64_t put = 0;
    while (put < 10 * options.max_bytes && put < largest * 10'000) {
      const size_t size = 1 + random() % largest;
      put += size;
      clock_.Advance(std::chrono::milliseconds(1));
      const std::string key = std::to_string(random());
      ASSERT_TRUE(tier_->Put(key, {SharedBytes::Own(Bytes(size))}, false).ok());
      ASSERT_LE(tier_->Stats().used_bytes, options.max_bytes);
    }
    EXPECT_GE(tier_->Stats().used_bytes, options.max_bytes * 95 / 100)
        << largest;
  }
}

TEST_F(MemoryTierTest, WhatReadersHoldStillCounts) {
  Make({.max_bytes = kMiB});
  std::vector<CacheValue> held;
  Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    const std::string key = std::to_string(i);
    status = tier_->Put(key, {SharedBytes::Own(Bytes(100'000))}, false);
    if (status.ok()) held.push_back(*tier_->Get(key));
    ASSERT_LE(tier_->Stats().used_bytes, kMiB);
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kExhausted);
  EXPECT_EQ(tier_->Stats().refused, 1u);
  held.clear();
  EXPECT_TRUE(Put("key", "value").ok());
}

TEST_F(MemoryTierTest, HandsDirtyEntriesOver) {
  Make({});
  ASSERT_TRUE(tier_->Put("dirty", {SharedBytes::Copy("d")}, false).ok());
  ASSERT_TRUE(tier_->Put("clean", {SharedBytes::Copy("c")}, true).ok());
  EXPECT_EQ(tier_->DirtyKeys(), std::vector<std::string>{"dirty"});
  tier_->HandOver("dirty", [](const CacheValue&) { return false; });
  EXPECT_EQ(tier_->DirtyKeys().size(), 1u);
  tier_->HandOver("dirty", [](const CacheValue& value) {
    return value.bytes.text() == "d";
  });
  EXPECT_TRUE(tier_->DirtyKeys().empty());
}

TEST_F(MemoryTierTest, RemovesOneAndAll) {
  Make({});
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("b", "2").ok());
  EXPECT_TRUE(tier_->Remove("a"));
  EXPECT_FALSE(tier_->Remove("a"));
  EXPECT_EQ(TextOf("a"), "not found");
  EXPECT_EQ(TextOf("b"), "2");
  tier_->Clear();
  EXPECT_EQ(TextOf("b"), "not found");
  EXPECT_EQ(tier_->Stats().entry_count, 0u);
  EXPECT_EQ(tier_->Stats().value_bytes, 0u);
}

TEST_F(MemoryTierTest, ThreadsSeeOnlyWholeValuesOfTheirKeys) {
  Make({.max_bytes = 2 * kMiB});
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < 4; ++id)
      threads.emplace_back([&, id] {
        std::mt19937_64 random(static_cast<uint64_t>(id));
        for (int i = 0; i < 4000; ++i) {
          const auto number = static_cast<int>(random() % 64);
          const std::string key = std::to_string(number);
          if (i % 2 == 0) {
            const size_t size = 1 + random() % 100'000;
            (void)tier_->Put(
                key,
                {SharedBytes::Own(Bytes(size, static_cast<std::byte>(number)))},
                false);
            continue;
          }
          const auto value = tier_->Get(key);
          if (!value.ok()) continue;
          const ByteSpan bytes = value->bytes.span();
          if (bytes.front() != static_cast<std::byte>(number) ||
              bytes.back() != static_cast<std::byte>(number))
            ++wrong;
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_LE(tier_->Stats().used_bytes, 2 * kMiB);
}

}  // namespace
}  // namespace morsel
