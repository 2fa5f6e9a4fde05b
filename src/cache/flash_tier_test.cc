// SPDX-License-Identifier: Apache-2.0
#include "cache/flash_tier.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "base/mutex.h"
#include "cache/flash_fixture.h"
#include "cache/flash_format.h"

namespace morsel {
namespace {

class FlashTierTest : public FlashFixture {};

// What lies on a device, from outside.
Bytes ContentOf(CacheDevice& device) {
  Bytes bytes(device.size());
  CHECK(device.Read(0, bytes).ok());
  return bytes;
}

TEST_F(FlashTierTest, KeepsBytesAndNumbersOverARestart) {
  MakeDevice(kMiB);
  Open(SmallFlash());
  const CacheValue value{SharedBytes::Copy("bytes"), 7, 8,
                         clock_.UnixSeconds() + 100};
  ASSERT_TRUE(tier_->Put("key", value, FlashTier::WhenFull::kWait).ok());
  ASSERT_TRUE(Put(std::string(250, 'k'), "").ok());
  for (int round = 0; round < 3; ++round) {
    const auto found = tier_->Get("key");
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(found->value.bytes.text(), "bytes");
    EXPECT_EQ(found->value.flags, 7u);
    EXPECT_EQ(found->value.cas, 8u);
    EXPECT_EQ(found->value.expires_unix, value.expires_unix);
    EXPECT_EQ(tier_->Find("key")->cas, 8u);
    EXPECT_EQ(TextOf(std::string(250, 'k')), "");
    EXPECT_EQ(TextOf("other"), "not found");
    Open(SmallFlash());
  }
  clock_.Advance(std::chrono::seconds(100));
  EXPECT_FALSE(tier_->Contains("key"));
  EXPECT_EQ(TextOf("key"), "not found") << "expired";
}

TEST_F(FlashTierTest, CountsTheUsesOfAnEntry) {
  MakeDevice(kMiB);
  Open(SmallFlash());
  ASSERT_TRUE(Put("key", "value").ok());
  EXPECT_EQ(tier_->Get("key")->uses, 1u);
  EXPECT_EQ(tier_->Get("key")->uses, 2u);
}

TEST_F(FlashTierTest, RefusesWhatDoesNotFit) {
  MakeDevice(kMiB);
  Open(SmallFlash());
  EXPECT_EQ(Put("", "x").error().code, Code::kInvalid);
  EXPECT_EQ(Put(std::string(251, 'k'), "x").error().code, Code::kInvalid);
  EXPECT_EQ(Put("k", std::string(64 * kKiB, 'x')).error().code, Code::kInvalid);
  const auto tiny =
      FlashTier::Open(MakeMemoryDevice(64 * kKiB), SmallFlash(), clock_);
  EXPECT_EQ(tiny.error().code, Code::kInvalid);
}

TEST_F(FlashTierTest, WhatWasErasedOrReplacedStaysGoneOverARestart) {
  MakeDevice(kMiB);
  Open(SmallFlash());
  for (const char* key : {"erased", "replaced", "kept"})
    ASSERT_TRUE(Put(key, "old").ok());
  ASSERT_TRUE(tier_->Flush().ok());
  EXPECT_TRUE(tier_->Erase("erased"));
  EXPECT_FALSE(tier_->Erase("erased"));
  ASSERT_TRUE(Put("replaced", "new").ok());
  ASSERT_TRUE(tier_->Flush().ok());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(TextOf("erased"), "not found");
    EXPECT_EQ(TextOf("replaced"), "new");
    EXPECT_EQ(TextOf("kept"), "old");
    Open(SmallFlash());
  }
  tier_->EraseAll();
  ASSERT_TRUE(Put("later", "value").ok());
  Open(SmallFlash());
  EXPECT_EQ(TextOf("kept"), "not found");
  EXPECT_EQ(TextOf("later"), "value");
}

// A map, and what it said at each step: the tier has room for all of it, so it
// must agree exactly, over restarts too.
TEST_F(FlashTierTest, AgreesWithAMapUnderRandomUseAndRestarts) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    MakeDevice(8 * kMiB);
    Open(SmallFlash());
    std::map<std::string, std::string> model;
    for (int step = 0; step < 1500; ++step) {
      const std::string key = "key" + std::to_string(random() % 40);
      const uint64_t action = random() % 100;
      if (action < 40) {
        std::string text(random() % (random() % 8 == 0 ? 20'000 : 300), 'a');
        for (char& c : text) c = static_cast<char>('a' + random() % 26);
        ASSERT_TRUE(Put(key, text).ok());
        model[key] = text;
      } else if (action < 55) {
        ASSERT_EQ(tier_->Erase(key), model.erase(key) == 1);
      } else if (action < 97) {
        ASSERT_EQ(TextOf(key), model.contains(key) ? model[key] : "not found");
      } else if (action < 98) {
        ASSERT_TRUE(tier_->Flush().ok());
      } else if (action < 99) {
        Open(SmallFlash());
      } else if (random() % 4 == 0) {
        tier_->EraseAll();
        model.clear();
      }
      ASSERT_EQ(tier_->Stats().entry_count, model.size());
    }
  }
}

TEST_F(FlashTierTest, StaysWithinItsDeviceAndItsAmplificationUnderTenfoldLoad) {
  const uint64_t seed = 9;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  constexpr uint64_t kDeviceBytes = 2 * kMiB + 300'000;
  MakeDevice(kDeviceBytes);
  Open(SmallFlash());
  std::map<std::string, std::string> newest;
  uint64_t put = 0;
  while (put < 10 * kDeviceBytes) {
    clock_.Advance(std::chrono::seconds(1));
    const std::string key = std::to_string(random() % 2000);
    const std::string text(1 + random() % 8000,
                           static_cast<char>('a' + random() % 26));
    put += text.size();
    ASSERT_TRUE(Put(key, text).ok());
    newest[key] = text;
    const std::string other = std::to_string(random() % 2000);
    const std::string got = TextOf(other);
    if (got != "not found") {
      ASSERT_EQ(got, newest[other]);
    }
  }
  ASSERT_TRUE(tier_->Flush().ok());
  const FlashTierStats stats = tier_->Stats();
  EXPECT_LE(stats.segment_bytes * stats.segment_count, kDeviceBytes);
  EXPECT_GE(stats.segment_bytes * stats.segment_count,
            kDeviceBytes * 99 / 100 - stats.segment_count * 4096);
  EXPECT_LE(stats.live_bytes, kDeviceBytes);
  EXPECT_GE(stats.live_bytes, kDeviceBytes / 2);
  EXPECT_GT(stats.evictions, 0u);
  EXPECT_LE(stats.moved_bytes, stats.admitted_bytes);
  // Half-filled last blocks and headers come on top: batches are small here.
  EXPECT_LE(stats.write_amplification(), 2.4);
  for (int round = 0; round < 2; ++round) {
    size_t there = 0;
    for (const auto& [key, text] : newest) {
      const std::string got = TextOf(key);
      if (got == "not found") continue;
      ASSERT_EQ(got, text);
      ++there;
    }
    EXPECT_GT(there, 100u);
    Open(SmallFlash());
  }
}

TEST_F(FlashTierTest, WhatIsUsedAgainOutlivesAScan) {
  MakeDevice(2 * kMiB);
  Open(SmallFlash());
  const std::string text(4000, 'x');
  for (int i = 0; i < 60; ++i)
    ASSERT_TRUE(Put("hot" + std::to_string(i), text).ok());
  for (int i = 0; i < 5000; ++i) {
    clock_.Advance(std::chrono::seconds(1));
    ASSERT_TRUE(Put("scan" + std::to_string(i), text).ok());
    // The writer decides what is hot: neither may run ahead of the other.
    ASSERT_TRUE(tier_->Flush().ok());
    (void)tier_->Get("hot" + std::to_string(i % 60));
  }
  int kept = 0;
  for (int i = 0; i < 60; ++i)
    kept += tier_->Contains("hot" + std::to_string(i)) ? 1 : 0;
  EXPECT_EQ(kept, 60);
  EXPECT_LT(tier_->Stats().write_amplification(), 1.4);
}

TEST_F(FlashTierTest, ADeviceOfAnotherLayoutBeginsAnew) {
  MakeDevice(kMiB);
  Open(SmallFlash());
  ASSERT_TRUE(Put("key", "value").ok());
  FlashTierOptions other = SmallFlash();
  other.segment_bytes = 128 * kKiB;
  Open(other);
  EXPECT_EQ(TextOf("key"), "not found");
  ASSERT_TRUE(Put("key", "anew").ok());
  Open(other);
  EXPECT_EQ(TextOf("key"), "anew");
}

TEST_F(FlashTierTest, ADamagedValueIsNamedAndDroppedAndNeverServed) {
  MakeDevice(kMiB);
  Open(SmallFlash());
  ASSERT_TRUE(Put("key", std::string(20'000, 'x')).ok());
  ASSERT_TRUE(Put("other", "fine").ok());
  ASSERT_TRUE(tier_->Flush().ok());
  Bytes bytes = ContentOf(*device_);
  const auto at = std::search(bytes.begin(), bytes.end(),
                              AsBytes("xxxx").begin(), AsBytes("xxxx").end());
  ASSERT_NE(at, bytes.end());
  *(at + 10'000) ^= std::byte{1};
  ASSERT_TRUE(device_->Write(0, bytes).ok());
  const auto got = tier_->Get("key");
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, Code::kCorrupt);
  EXPECT_NE(got.error().message.find("key"), std::string::npos);
  EXPECT_EQ(TextOf("key"), "not found");
  EXPECT_EQ(tier_->Stats().corrupt, 1u);
  EXPECT_EQ(TextOf("other"), "fine");
}

// Thirty records of three blocks each, five in a segment, and the offset of
// record `number` of segment `id`.
uint64_t OffsetOf(uint64_t id, uint64_t number) {
  return id * 64 * kKiB + 4096 + number * 3 * 4096;
}

class FlashDamageTest : public FlashTierTest {
 protected:
  // A restart after one bit of the device has been flipped.
  void FillFlipAndOpen(uint64_t offset) {
    MakeDevice(kMiB);
    Open(SmallFlash());
    for (int i = 0; i < 30; ++i) {
      ASSERT_TRUE(Put(std::to_string(i), std::string(9000, 'x')).ok());
      ASSERT_TRUE(tier_->Flush().ok());
    }
    entries_ = tier_->Stats().entry_count;
    tier_.reset();
    Bytes block(4096);
    const uint64_t at = RoundDown(offset, 4096);
    ASSERT_TRUE(device_->Read(at, block).ok());
    block[offset - at] ^= std::byte{1};
    ASSERT_TRUE(device_->Write(at, block).ok());
    Open(SmallFlash());
  }
  void ExpectOneLost() {
    EXPECT_EQ(tier_->Stats().entry_count, entries_ - 1);
    EXPECT_EQ(tier_->Stats().corrupt, 1u);
    // Nor is anything else lost, or of another value, from then on.
    for (int start = 0; start < 2; ++start) {
      int found = 0;
      for (int i = 0; i < 30; ++i) {
        const std::string text = TextOf(std::to_string(i));
        // A later start, which checks no values, finds the damage at a read.
        if (text == "not found" || text == "corrupt") continue;
        EXPECT_EQ(text, std::string(9000, 'x'));
        ++found;
      }
      EXPECT_EQ(found, static_cast<int>(entries_) - 1);
      ASSERT_TRUE(Put("new", "value").ok());
      ASSERT_TRUE(tier_->Flush().ok());
      Open(SmallFlash());
      EXPECT_EQ(TextOf("new"), "value");
    }
  }

  uint64_t entries_ = 0;
};

TEST_F(FlashDamageTest, ADamagedHeadCostsThatRecordAlone) {
  FillFlipAndOpen(OffsetOf(2, 1) + 20);
  ExpectOneLost();
}

// The newest segment is the sixth, and is full.
TEST_F(FlashDamageTest, ADamagedHeadInTheNewestSegmentCostsThatRecordAlone) {
  FillFlipAndOpen(OffsetOf(6, 1) + 20);
  ExpectOneLost();
}

TEST_F(FlashDamageTest, ADamagedValueInTheNewestSegmentCostsThatRecordAlone) {
  FillFlipAndOpen(OffsetOf(6, 2) + 4096);
  ExpectOneLost();
}

TEST_F(FlashTierTest, AfterAWriteErrorItReadsOnAndWritesNoMore) {
  MakeDevice(kMiB);
  CacheFaultOptions faults;
  faults.writes_until_crash = 3;
  const auto faulty = MakeFaultCacheDevice(*device_, faults);
  Open(SmallFlash(), faulty.get());
  ASSERT_TRUE(Put("key", "value").ok());
  ASSERT_TRUE(tier_->Flush().ok());
  Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    (void)Put("more" + std::to_string(i), "value");
    status = tier_->Flush();
  }
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kUnavailable);
  EXPECT_TRUE(tier_->Stats().failed);
  EXPECT_EQ(Put("other", "value").error().code, Code::kUnavailable);
  EXPECT_EQ(TextOf("key"), "value");
  EXPECT_EQ(TextOf("other"), "not found");
  EXPECT_TRUE(tier_->Erase("key"));
  EXPECT_EQ(TextOf("key"), "not found");
  EXPECT_EQ(tier_->Stats().queued_bytes, 0u);
  tier_.reset();  // before the device that it borrows
}

TEST_F(FlashTierTest, FaultsOfReadsAreErrorsAndNeverOtherBytes) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    MakeDevice(2 * kMiB);
    CacheFaultOptions faults;
    faults.seed = seed;
    faults.read_faults_per_million = 50'000;
    faults.flips_per_million = 100'000;
    const auto faulty = MakeFaultCacheDevice(*device_, faults);
    Open(SmallFlash(), faulty.get());
    std::map<std::string, std::string> newest;
    std::map<std::string, int> answers;
    for (int step = 0; step < 3000; ++step) {
      clock_.Advance(std::chrono::seconds(1));
      const std::string key = std::to_string(random() % 200);
      if (random() % 2 == 0) {
        newest[key] = std::string(random() % 8000,
                                  static_cast<char>('a' + random() % 26));
        ASSERT_TRUE(Put(key, newest[key]).ok());
        continue;
      }
      const auto got = tier_->Get(key);
      if (got.ok()) {
        ASSERT_EQ(got->value.bytes.text(), newest[key]);
        ++answers["ok"];
      } else {
        ++answers[std::string(CodeName(got.error().code))];
      }
    }
    EXPECT_GT(answers["ok"], 100);
    EXPECT_GT(tier_->Stats().corrupt, 0u);
    EXPECT_GT(tier_->Stats().read_errors, 0u);
    EXPECT_EQ(answers.count("internal"), 0u);
    tier_.reset();  // before the device that it borrows
  }
}

// Lets writes wait until the test opens the gate.
class GateDevice final : public CacheDevice {
 public:
  explicit GateDevice(CacheDevice& next) : next_(next) {}

  uint64_t size() const override { return next_.size(); }
  std::string name() const override { return next_.name(); }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    return next_.Read(offset, out);
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    {
      const MutexLock lock(mutex_);
      while (!is_open_) changed_.Wait(mutex_);
    }
    return next_.Write(offset, bytes);
  }
  void OpenGate() {
    const MutexLock lock(mutex_);
    is_open_ = true;
    changed_.NotifyAll();
  }

 private:
  CacheDevice& next_;
  Mutex mutex_;
  CondVar changed_;
  bool is_open_ GUARDED_BY(mutex_) = false;
};

TEST_F(FlashTierTest, AFullQueueDropsAndForgetsTheOlderVersion) {
  MakeDevice(kMiB);
  GateDevice gate(*device_);
  FlashTierOptions options = SmallFlash();
  options.queue_bytes = 32 * kKiB;
  Open(options, &gate);
  const CacheValue value{SharedBytes::Copy(std::string(5000, 'x'))};
  std::set<std::string> taken;
  for (int i = 0; i < 20; ++i) {
    const std::string key = std::to_string(i);
    const Status put = tier_->Put(key, value, FlashTier::WhenFull::kDrop);
    if (put.ok()) taken.insert(key);
    if (!put.ok()) {
      EXPECT_EQ(put.error().code, Code::kExhausted);
    }
  }
  EXPECT_GE(taken.size(), 5u);
  EXPECT_LT(taken.size(), 10u);
  EXPECT_LE(tier_->Stats().queued_bytes, options.queue_bytes);
  for (const auto& key : taken) EXPECT_TRUE(tier_->Get(key).ok());
  const std::string replaced = *taken.begin();
  EXPECT_FALSE(tier_->Put(replaced, value, FlashTier::WhenFull::kDrop).ok());
  EXPECT_EQ(TextOf(replaced), "not found");
  EXPECT_EQ(tier_->Stats().dropped, 20 - taken.size() + 1);
  // One who waits gets room when the device goes on.
  std::jthread waiter([&] { EXPECT_TRUE(Put("waiter", "value").ok()); });
  gate.OpenGate();
  waiter.join();
  EXPECT_EQ(TextOf("waiter"), "value");
  Open(SmallFlash());
  EXPECT_EQ(TextOf(replaced), "not found") << "a tombstone was written";
}

TEST_F(FlashTierTest, ThreadsSeeOnlyWholeValuesOfTheirKeys) {
  MakeDevice(2 * kMiB);
  FlashTierOptions options = SmallFlash();
  options.linger = std::chrono::milliseconds(1);
  Open(options);
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int id = 0; id < 4; ++id)
      threads.emplace_back([&, id] {
        std::mt19937_64 random(static_cast<uint64_t>(id));
        for (int i = 0; i < 3000; ++i) {
          const auto number = static_cast<int>(random() % 100);
          const std::string key = std::to_string(number);
          const char fill = static_cast<char>('0' + number);
          if (i % 3 == 0) {
            (void)Put(key, std::string(1 + random() % 9000, fill));
          } else if (i % 50 == 1) {
            (void)tier_->Erase(key);
          } else {
            const auto got = tier_->Get(key);
            if (!got.ok() && got.error().code != Code::kNotFound) ++wrong;
            if (got.ok() && got->value.bytes.text().find_first_not_of(fill) !=
                                std::string_view::npos)
              ++wrong;
          }
        }
      });
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(tier_->Flush().ok());
}

}  // namespace
}  // namespace morsel
