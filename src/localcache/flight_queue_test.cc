// SPDX-License-Identifier: Apache-2.0
#include "localcache/flight_queue.h"

#include <gtest/gtest.h>

#include <random>

#include "localcache/test_chunks.h"

namespace morsel {
namespace {

const Deadline kNow = Deadline() + std::chrono::hours(1);

FlightPtr MakeFlight(bool demand, Deadline attached = kNow) {
  auto flight = std::make_shared<Flight>();
  flight->demand = demand;
  flight->attached = attached;
  return flight;
}

bool Any(const Flight&) { return true; }

TEST(FlightQueue, DemandsGoBeforePrefetchesElseInOrder) {
  FlightQueue queue;
  const FlightPtr prefetch = MakeFlight(false);
  const FlightPtr first = MakeFlight(true);
  const FlightPtr second = MakeFlight(true);
  queue.Push(prefetch);
  queue.Push(first);
  queue.Push(second);
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_EQ(queue.Take(Any), first);
  EXPECT_EQ(queue.Take(Any), second);
  EXPECT_EQ(queue.Take(Any), prefetch);
  EXPECT_EQ(queue.Take(Any), nullptr);
  EXPECT_EQ(queue.size(), 0u);
}

TEST(FlightQueue, ARaisedPrefetchIsTakenOnceAndAsADemand) {
  FlightQueue queue;
  const FlightPtr raised = MakeFlight(false);
  const FlightPtr prefetch = MakeFlight(false);
  queue.Push(prefetch);
  queue.Push(raised);
  raised->demand = true;
  queue.Push(raised);
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.Take(Any), raised);
  EXPECT_EQ(queue.Take(Any), prefetch);
  EXPECT_EQ(queue.Take(Any), nullptr);
}

TEST(FlightQueue, WhoMayNotGoLetsOthersPassAndKeepsItsPlace) {
  FlightQueue queue;
  const FlightPtr held = MakeFlight(true);
  const FlightPtr next = MakeFlight(true);
  queue.Push(held);
  queue.Push(next);
  EXPECT_EQ(queue.Take([&](const Flight& f) { return &f != held.get(); }),
            next);
  queue.Push(next);
  EXPECT_EQ(queue.Take(Any), held);
}

TEST(OriginSlots, AQuarterIsKeptForDevicesThatDoNotStart) {
  OriginSlots slots(16);
  const Flight young = *MakeFlight(true);
  const Flight old = *MakeFlight(true, kNow - kStartingTime);
  int taken = 0;
  while (slots.MayGo(young, kNow)) {
    slots.Take(young, kNow);
    ++taken;
  }
  EXPECT_EQ(taken, 12);
  while (slots.MayGo(old, kNow)) {
    slots.Take(old, kNow);
    ++taken;
  }
  EXPECT_EQ(taken, 16);
  // The same device, half a minute later.
  slots.Release({.young = true, .prefetch = false});
  EXPECT_TRUE(slots.MayGo(young, kNow + kStartingTime));
}

TEST(OriginSlots, PrefetchesTakeHalfAtMostAndOneSlotServesAll) {
  OriginSlots slots(8);
  const Flight prefetch = *MakeFlight(false, kNow - kStartingTime);
  int taken = 0;
  for (; slots.MayGo(prefetch, kNow); ++taken) slots.Take(prefetch, kNow);
  EXPECT_EQ(taken, 4);
  EXPECT_TRUE(OriginSlots(1).MayGo(*MakeFlight(true), kNow));
  EXPECT_TRUE(OriginSlots(1).MayGo(prefetch, kNow));
}

// Random pushes, raises and takes against a list that is searched.
TEST(FlightQueue, AgreesWithAList) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  FlightQueue queue;
  std::vector<FlightPtr> demands;
  std::vector<FlightPtr> prefetches;
  for (int step = 0; step < 20000; ++step) {
    const auto kind = random() % 4;
    if (kind < 2) {
      const FlightPtr flight = MakeFlight(kind == 0);
      queue.Push(flight);
      (kind == 0 ? demands : prefetches).push_back(flight);
    } else if (kind == 2 && !prefetches.empty()) {
      const auto at = static_cast<std::ptrdiff_t>(random() % prefetches.size());
      const FlightPtr flight = prefetches[static_cast<size_t>(at)];
      prefetches.erase(prefetches.begin() + at);
      demands.push_back(flight);
      flight->demand = true;
      queue.Push(flight);
    } else if (kind == 3) {
      auto& list = demands.empty() ? prefetches : demands;
      const FlightPtr expected = list.empty() ? nullptr : list.front();
      if (!list.empty()) list.erase(list.begin());
      ASSERT_EQ(queue.Take(Any), expected) << step;
    }
    ASSERT_EQ(queue.size(), demands.size() + prefetches.size());
  }
}

}  // namespace
}  // namespace morsel
