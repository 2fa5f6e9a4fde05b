// SPDX-License-Identifier: Apache-2.0
#include "cache/tiered_cache.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "cache/flash_fixture.h"

namespace morsel {
namespace {

using Mode = TieredCache::Mode;

class TieredCacheTest : public FlashFixture {
 protected:
  // A restart of the process: memory is empty, the device is as it was.
  void OpenCache(bool with_flash = true) {
    cache_.reset();
    TieredCacheOptions options;
    options.memory.max_bytes = kMiB;
    options.memory.policy.correlated_period = std::chrono::milliseconds(0);
    if (with_flash) {
      Open(SmallFlash());
      options.flash = std::move(tier_);
    }
    options.observe = [this](CacheStep step, std::chrono::nanoseconds) {
      ++steps_[static_cast<size_t>(step)];
    };
    auto cache = TieredCache::Make(std::move(options), clock_);
    ASSERT_TRUE(cache.ok());
    cache_ = std::move(cache).value();
  }
  Result<uint64_t> Set(std::string_view key, std::string_view text,
                       Mode mode = Mode::kAlways, uint64_t cas = 0) {
    return cache_->Set(key, {SharedBytes::Copy(text), 0, cas}, mode);
  }
  std::string Text(std::string_view key) {
    const auto value = cache_->Get(key);
    return value.ok() ? std::string(value->bytes.text())
                      : std::string(CodeName(value.error().code));
  }
  // Pushes everything else out of memory.
  void Scan() {
    const std::string filler(50'000, 'f');
    for (int i = 0; i < 40; ++i) {
      clock_.Advance(std::chrono::seconds(1));
      ASSERT_TRUE(Set("filler" + std::to_string(scans_++), filler).ok());
    }
    ASSERT_TRUE(cache_->flash() == nullptr || cache_->flash()->Flush().ok());
  }

  std::array<std::atomic<int>, 5> steps_{};
  std::unique_ptr<TieredCache> cache_;
  int scans_ = 0;
};

TEST_F(TieredCacheTest, WorksInMemoryAlone) {
  OpenCache(/*with_flash=*/false);
  ASSERT_TRUE(Set("key", "value").ok());
  EXPECT_EQ(Text("key"), "value");
  ASSERT_TRUE(cache_->Remove("key").ok());
  EXPECT_EQ(Text("key"), "not found");
  EXPECT_EQ(cache_->Remove("key").error().code, Code::kNotFound);
  EXPECT_TRUE(cache_->Flush().ok());
  EXPECT_FALSE(cache_->Stats().flash.has_value());
}

TEST_F(TieredCacheTest,
       WhatMemoryEvictsIsFoundOnFlashAndPromotedAtItsSecondUse) {
  MakeDevice(8 * kMiB);
  OpenCache();
  ASSERT_TRUE(Set("key", "value").ok());
  Scan();
  EXPECT_EQ(Text("key"), "value");
  EXPECT_EQ(cache_->Stats().promotions, 0u);
  EXPECT_EQ(Text("key"), "value");
  EXPECT_EQ(cache_->Stats().promotions, 1u);
  EXPECT_EQ(Text("key"), "value");
  EXPECT_EQ(steps_[static_cast<size_t>(CacheStep::kFlashHit)], 2);
  EXPECT_EQ(steps_[static_cast<size_t>(CacheStep::kMemoryHit)], 1);
  // Evicting it once more costs no write.
  const uint64_t inserts = cache_->Stats().flash->inserts;
  cache_->Stats();
  EXPECT_TRUE(cache_->flash()->Contains("key"));
  EXPECT_EQ(cache_->Stats().flash->inserts, inserts);
}

TEST_F(TieredCacheTest, AModeLooksIntoBothTiers) {
  MakeDevice(8 * kMiB);
  OpenCache();
  EXPECT_EQ(Set("key", "v", Mode::kIfPresent).error().code, Code::kNotFound);
  EXPECT_EQ(Set("key", "v", Mode::kIfCas, 1).error().code, Code::kNotFound);
  const uint64_t first = Set("key", "one", Mode::kIfAbsent).value();
  for (int on_flash = 0; on_flash < 2; ++on_flash) {
    EXPECT_EQ(cache_->CasOf("key"), first);
    EXPECT_EQ(Set("key", "v", Mode::kIfAbsent).error().code, Code::kExists);
    EXPECT_EQ(Set("key", "v", Mode::kIfCas, first + 99).error().code,
              Code::kExists);
    if (on_flash == 0) Scan();
  }
  const uint64_t second = Set("key", "two", Mode::kIfCas, first).value();
  EXPECT_NE(second, first);
  EXPECT_EQ(Text("key"), "two");
  EXPECT_GT(Set("key", "three", Mode::kIfPresent).value(), second);
  EXPECT_EQ(Text("key"), "three");
}

TEST_F(TieredCacheTest, WhatWasReplacedOrRemovedStaysGoneOverAKill) {
  MakeDevice(8 * kMiB);
  OpenCache();
  for (const char* key : {"replaced", "removed", "kept"})
    ASSERT_TRUE(Set(key, "old").ok());
  Scan();
  ASSERT_TRUE(Set("replaced", "new").ok());
  ASSERT_TRUE(cache_->Remove("removed").ok());
  OpenCache();  // without a Flush: memory is lost, as by a kill
  EXPECT_EQ(Text("replaced"), "not found");
  EXPECT_EQ(Text("removed"), "not found");
  EXPECT_EQ(Text("kept"), "old");
  ASSERT_TRUE(cache_->Clear().ok());
  OpenCache();
  EXPECT_EQ(Text("kept"), "not found");
}

TEST_F(TieredCacheTest, AFlushKeepsMemoryOverARestart) {
  MakeDevice(8 * kMiB);
  OpenCache();
  const uint64_t cas = Set("key", "value").value();
  ASSERT_TRUE(cache_->Flush().ok());
  OpenCache();
  EXPECT_EQ(Text("key"), "value");
  EXPECT_EQ(cache_->CasOf("key"), cas);
  EXPECT_GT(Set("other", "value").value(), cas);
}

TEST_F(TieredCacheTest, AnExpiredValueIsAbsentInBothTiers) {
  MakeDevice(8 * kMiB);
  OpenCache();
  const int64_t soon = clock_.UnixSeconds() + 1000;
  ASSERT_TRUE(cache_->Set("key", {SharedBytes::Copy("v"), 0, 0, soon}).ok());
  Scan();
  EXPECT_EQ(Text("key"), "v");
  clock_.Advance(std::chrono::seconds(1000));
  EXPECT_EQ(Text("key"), "not found");
  EXPECT_TRUE(Set("key", "again", Mode::kIfAbsent).ok());
}

// Each key has one writer, who numbers its versions; readers must never see a
// version older than one whose Set had returned before they asked.
TEST_F(TieredCacheTest, ThreadsNeverSeeAnOlderVersionThanOneThatWasSet) {
  MakeDevice(4 * kMiB);
  OpenCache();
  constexpr int kKeys = 60;
  std::array<std::atomic<uint64_t>, kKeys> newest{};
  std::atomic<int> wrong{0}, hits{0};
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < 4; ++id)
      threads.emplace_back([&, id] {
        std::mt19937_64 random(static_cast<uint64_t>(id));
        for (uint64_t i = 1; i <= 1500; ++i) {
          clock_.Advance(std::chrono::milliseconds(10));
          const int number = static_cast<int>(random() % kKeys);
          const std::string key = std::to_string(number);
          if (number % 4 == id && random() % 2 == 0) {
            const std::string text =
                std::to_string(i) + "." + std::string(random() % 60'000, 'x');
            if (random() % 10 == 0) {
              (void)cache_->Remove(key);
              newest[number] = i;
            }
            if (Set(key, text).ok()) newest[number] = i;
            continue;
          }
          const uint64_t at_least = newest[number];
          const auto value = cache_->Get(key);
          if (!value.ok()) continue;
          ++hits;
          if (std::stoull(std::string(value->bytes.text().substr(0, 12))) <
              at_least)
            ++wrong;
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(hits, 500);
  const TieredCacheStats stats = cache_->Stats();
  EXPECT_GT(stats.memory.evictions, 0u);
  EXPECT_GT(stats.flash->hits, 0u);
  EXPECT_LE(stats.memory.used_bytes, kMiB);
}

}  // namespace
}  // namespace morsel
