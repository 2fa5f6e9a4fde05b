// SPDX-License-Identifier: Apache-2.0
#include "cache/policy.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "cache/lru_k.h"
#include "cache/slow_policies.h"
#include "cache/slow_s3_fifo.h"
#include "cache/test_clock.h"

namespace morsel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

CacheKey KeyOf(int number) { return {0, static_cast<uint64_t>(number)}; }

int NumberOf(const CacheKey& key) { return static_cast<int>(key.low); }

// Random uses, evictions and removals of a policy and of its model, which must
// name the same victims.
template <typename Model>
void CompareWithModel(const PolicyOptions& options, Model model,
                      uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto policy = MakePolicy(options);
  TestClock clock;
  std::set<int> resident;
  const size_t capacity = 1 + random() % 40;
  for (int step = 0; step < 1500; ++step) {
    clock.Advance(milliseconds(random() % 4 == 0 ? random() % 3000 : 0));
    // Popular keys, a scan, and all of them.
    const int key = static_cast<int>(
        step % 3 == 0 ? random() % 20
                      : (step % 3 == 1 ? 1000 + step : random() % 300));
    if (random() % 50 == 0) {
      policy->Remove(KeyOf(key));
      model.Remove(key);
      resident.erase(key);
      continue;
    }
    const bool comes_in = !resident.contains(key);
    if (comes_in && resident.size() == capacity) {
      const auto victim = policy->Evict(clock.Now());
      ASSERT_TRUE(victim.has_value());
      ASSERT_EQ(NumberOf(*victim), model.Evict(clock.Now())) << step;
      resident.erase(NumberOf(*victim));
    }
    if (comes_in) {
      policy->Insert(KeyOf(key), 1, clock.Now());
    } else {
      policy->Hit(KeyOf(key), clock.Now());
    }
    model.Use(key, clock.Now(), comes_in);
    resident.insert(key);
    ASSERT_EQ(policy->resident_count(), resident.size());
    ASSERT_TRUE(policy->Contains(KeyOf(key)));
  }
}

TEST(LruK, NamesTheVictimsOfTheSlowModel) {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    PolicyOptions options;
    options.k = 1 + seed % LruKPolicy::kMaxK;
    options.correlated_period = milliseconds(seed % 3 * 2500);
    options.retained_period = seconds(seed % 2 == 0 ? 60 : 100'000);
    options.retained_per_resident = static_cast<double>(seed % 4);
    CompareWithModel(options, SlowLruK(options), seed);
  }
}

TEST(QueuePolicies, NameTheVictimsOfTheSlowModel) {
  for (const PolicyKind kind :
       {PolicyKind::kFifo, PolicyKind::kLru, PolicyKind::kSieve})
    for (uint64_t seed = 1; seed <= 8; ++seed)
      CompareWithModel({.kind = kind}, SlowQueue(kind), seed);
}

TEST(S3Fifo, NamesTheVictimsOfTheSlowModel) {
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    PolicyOptions options;
    options.kind = PolicyKind::kS3Fifo;
    options.retained_per_resident = static_cast<double>(seed % 4);
    CompareWithModel(options, SlowS3Fifo(options), seed);
  }
}

class EveryPolicyTest : public testing::TestWithParam<PolicyKind> {
 protected:
  std::unique_ptr<EvictionPolicy> Make() {
    return MakePolicy({.kind = GetParam()});
  }
  TestClock clock_;
};

TEST_P(EveryPolicyTest, AnEmptyOneHasNoVictim) {
  const auto policy = Make();
  EXPECT_FALSE(policy->Evict(clock_.Now()).has_value());
  policy->Insert(KeyOf(1), 1, clock_.Now());
  policy->Remove(KeyOf(1));
  EXPECT_FALSE(policy->Evict(clock_.Now()).has_value());
  EXPECT_EQ(policy->resident_count(), 0u);
}

TEST_P(EveryPolicyTest, AVictimIsResidentAndNamedOnce) {
  std::mt19937_64 random(11);
  const auto policy = Make();
  std::set<int> resident;
  for (int step = 0; step < 20'000; ++step) {
    clock_.Advance(milliseconds(random() % 2000));
    const int key = static_cast<int>(random() % 500);
    if (resident.insert(key).second) {
      policy->Insert(KeyOf(key), 1 + random() % 1000, clock_.Now());
    } else if (random() % 10 == 0) {
      policy->Remove(KeyOf(key));
      resident.erase(key);
    } else {
      policy->Hit(KeyOf(key), clock_.Now());
    }
    while (resident.size() > 100) {
      const auto victim = policy->Evict(clock_.Now());
      ASSERT_TRUE(victim.has_value());
      ASSERT_EQ(resident.erase(NumberOf(*victim)), 1u);
      ASSERT_FALSE(policy->Contains(*victim));
    }
    ASSERT_EQ(policy->resident_count(), resident.size());
  }
}

TEST_P(EveryPolicyTest, LateHintsAboutStrangersDoNothing) {
  const auto policy = Make();
  policy->Hit(KeyOf(1), clock_.Now());
  policy->Remove(KeyOf(2));
  EXPECT_FALSE(policy->Contains(KeyOf(1)));
  EXPECT_EQ(policy->resident_count(), 0u);
}

TEST_P(EveryPolicyTest, MemoryIsBoundedByWhatIsResident) {
  const auto policy = Make();
  for (int key = 0; key < 100'000; ++key) {
    clock_.Advance(milliseconds(1));
    policy->Insert(KeyOf(key), 1, clock_.Now());
    if (policy->resident_count() > 100) policy->Evict(clock_.Now());
  }
  // At most the resident ones, and twice as many that are remembered.
  EXPECT_LT(policy->bookkeeping_bytes(), 400u * 400u);
}

TEST_P(EveryPolicyTest, ItsNameLeadsBackToIt) {
  const auto kind = ParsePolicyKind(PolicyName(GetParam()));
  ASSERT_TRUE(kind.ok());
  EXPECT_EQ(*kind, GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, EveryPolicyTest,
                         testing::Values(PolicyKind::kLruK, PolicyKind::kLru,
                                         PolicyKind::kFifo, PolicyKind::kS3Fifo,
                                         PolicyKind::kSieve));

TEST(Policy, AnUnknownNameIsRefusedWithThoseThatExist) {
  const auto kind = ParsePolicyKind("clock");
  ASSERT_FALSE(kind.ok());
  EXPECT_EQ(kind.error().code, Code::kInvalid);
  EXPECT_NE(kind.error().message.find("s3-fifo"), std::string::npos);
}

TEST(LruK, AScanDoesNotPushOutWhatIsUsedAgainAndAgain) {
  TestClock clock;
  LruKPolicy policy({});
  for (int round = 0; round < 3; ++round)
    for (int key = 0; key < 10; ++key) {
      clock.Advance(seconds(1));
      if (round == 0)
        policy.Insert(KeyOf(key), 1, clock.Now());
      else
        policy.Hit(KeyOf(key), clock.Now());
    }
  for (int key = 100; key < 200; ++key) {
    clock.Advance(seconds(10));
    policy.Insert(KeyOf(key), 1, clock.Now());
    if (policy.resident_count() > 20) policy.Evict(clock.Now());
  }
  for (int key = 0; key < 10; ++key) EXPECT_TRUE(policy.Contains(KeyOf(key)));
}

TEST(LruK, ABurstCountsAsOneUse) {
  TestClock clock;
  LruKPolicy policy({});
  policy.Insert(KeyOf(1), 1, clock.Now());
  for (int i = 0; i < 50; ++i) {
    clock.Advance(milliseconds(100));
    policy.Hit(KeyOf(1), clock.Now());
  }
  policy.Insert(KeyOf(2), 1, clock.Now());
  clock.Advance(seconds(60));
  policy.Hit(KeyOf(2), clock.Now());
  clock.Advance(seconds(60));
  EXPECT_EQ(policy.Evict(clock.Now()), KeyOf(1));
}

TEST(LruK, AnEvictedEntryThatComesBackIsKnown) {
  TestClock clock;
  LruKPolicy policy({});
  policy.Insert(KeyOf(1), 1, clock.Now());
  clock.Advance(seconds(10));
  EXPECT_EQ(policy.Evict(clock.Now()), KeyOf(1));
  policy.Insert(KeyOf(1), 1, clock.Now());
  clock.Advance(seconds(10));
  policy.Insert(KeyOf(2), 1, clock.Now());
  clock.Advance(seconds(10));
  EXPECT_EQ(policy.Evict(clock.Now()), KeyOf(2)) << "1 was used twice";
}

TEST(S3Fifo, WhatIsUsedOnceLeavesBeforeWhatIsUsedAgain) {
  TestClock clock;
  const auto policy = MakePolicy({.kind = PolicyKind::kS3Fifo});
  for (int key = 0; key < 10; ++key) policy->Insert(KeyOf(key), 1, clock.Now());
  for (int use = 0; use < 2; ++use)
    for (int key = 0; key < 10; ++key) policy->Hit(KeyOf(key), clock.Now());
  for (int key = 100; key < 300; ++key) {
    policy->Insert(KeyOf(key), 1, clock.Now());
    if (policy->resident_count() > 20) policy->Evict(clock.Now());
  }
  for (int key = 0; key < 10; ++key) EXPECT_TRUE(policy->Contains(KeyOf(key)));
}

}  // namespace
}  // namespace morsel
