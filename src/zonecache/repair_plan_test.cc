// SPDX-License-Identifier: Apache-2.0
#include "zonecache/repair_plan.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace morsel {
namespace {

using Kind = PlaceState::Kind;
using Puts = std::vector<StripePut>;

PlaceState Hit(uint32_t index, uint64_t cas = 0) {
  return {Kind::kHit, index, cas, 0};
}
PlaceState Bad(uint64_t cas) { return {Kind::kBad, 0, cas, 0}; }
constexpr PlaceState kMiss{Kind::kMiss, 0, 0, 0};
constexpr PlaceState kUnknown{Kind::kUnknown, 0, 0, 0};
constexpr PlaceState kAway{Kind::kAway, 0, 0, 0};

Puts Plan(const std::vector<PlaceState>& places, bool fill_unknown = false) {
  return PlanRepair(places, fill_unknown);
}

TEST(RepairPlanTest, AWholeChunkNeedsNothing) {
  EXPECT_EQ(Plan({Hit(0), Hit(1), Hit(2), Hit(3), Hit(4)}), Puts());
  EXPECT_EQ(Plan({Hit(0), Hit(1), Hit(2), Hit(3), kUnknown}), Puts());
  EXPECT_EQ(Plan({Hit(4), Hit(0), Hit(1), Hit(2), Hit(3)}), Puts());
}

TEST(RepairPlanTest, AMissingStripeIsAddedWithTheIndexThatNobodyHolds) {
  EXPECT_EQ(Plan({Hit(0), kMiss, Hit(2), Hit(3), Hit(4)}),
            (Puts{{1, 1, std::nullopt}}));
  EXPECT_EQ(Plan({Hit(1), Hit(2), Hit(3), Hit(4), kMiss}),
            (Puts{{4, 0, std::nullopt}}));
}

TEST(RepairPlanTest, ABadStripeIsReplacedByItsToken) {
  EXPECT_EQ(Plan({Hit(0), Hit(1), Bad(77), Hit(3), Hit(4)}),
            (Puts{{2, 2, 77}}));
}

TEST(RepairPlanTest, AStripeThatIsHeldTwiceGivesWayToTheMissingOne) {
  EXPECT_EQ(Plan({Hit(0), Hit(1), Hit(1, 9), Hit(3), Hit(4)}),
            (Puts{{2, 2, 9}}));
}

TEST(RepairPlanTest, ANewChunkGoesToEveryPlaceInOrder) {
  const Puts all{
      {0, 0, std::nullopt}, {1, 1, std::nullopt}, {2, 2, std::nullopt}};
  EXPECT_EQ(Plan({kMiss, kMiss, kMiss}), all);
  EXPECT_EQ(Plan({kMiss, kUnknown, kMiss}, true), all);
}

TEST(RepairPlanTest, ANodeThatIsAwayGetsNothingAndKeepsItsIndex) {
  EXPECT_EQ(Plan({kMiss, kAway, kMiss}, true),
            (Puts{{0, 0, std::nullopt}, {2, 2, std::nullopt}}));
  EXPECT_EQ(Plan({kAway, Hit(2), kMiss, Hit(3)}), (Puts{{2, 1, std::nullopt}}));
}

// The promises, for every state that can be.
void ExpectPromises(const std::vector<PlaceState>& places, bool fill_unknown) {
  const Puts puts = Plan(places, fill_unknown);
  std::set<uint32_t> held;
  for (const PlaceState& state : places)
    if (state.kind == Kind::kHit) held.insert(state.index);
  std::set<uint32_t> used_places;
  for (const StripePut& put : puts) {
    ASSERT_LT(put.index, places.size());
    EXPECT_TRUE(held.insert(put.index).second) << "an index is held twice";
    EXPECT_TRUE(used_places.insert(put.place).second);
    const PlaceState& state = places[put.place];
    EXPECT_NE(state.kind, Kind::kAway);
    EXPECT_TRUE(state.kind != Kind::kUnknown || fill_unknown);
    EXPECT_EQ(put.cas.has_value(),
              state.kind == Kind::kBad || state.kind == Kind::kHit);
    if (put.cas) {
      EXPECT_EQ(*put.cas, state.cas);
    }
  }
}

TEST(RepairPlanTest, NoPlanHoldsAnIndexTwiceOrReplacesWhatIsGood) {
  const auto seed =
      static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<PlaceState> places(1 + random() % 7);
    for (PlaceState& state : places) {
      state.kind = static_cast<Kind>(random() % 5);
      state.index = static_cast<uint32_t>(random() % places.size());
      state.cas = random();
    }
    ExpectPromises(places, random() % 2 == 0);
  }
}

}  // namespace
}  // namespace morsel
