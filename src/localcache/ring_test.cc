// SPDX-License-Identifier: Apache-2.0
#include "localcache/ring.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "localcache/test_chunks.h"

namespace morsel {
namespace {

TEST(HitRing, TellsWhatWasRecordedOnce) {
  auto drain = Must(HitRingDrain::Make());
  const auto ring = Must(HitRing::Map(drain.file()));
  EXPECT_TRUE(drain.Drain(100).empty());
  for (uint32_t i = 0; i < 10; ++i) ring.Record(i);
  EXPECT_EQ(drain.Drain(4), (std::vector<uint32_t>{6, 7, 8, 9}));
  EXPECT_TRUE(drain.Drain(100).empty());
}

TEST(HitRing, IsLossyAndBounded) {
  auto drain = Must(HitRingDrain::Make());
  const auto ring = Must(HitRing::Map(drain.file()));
  for (uint32_t i = 0; i < 3 * kRingCapacity; ++i) ring.Record(i);
  const auto slots = drain.Drain(~0u);
  ASSERT_EQ(slots.size(), kRingCapacity);
  EXPECT_EQ(slots.front(), 2 * kRingCapacity);
  EXPECT_EQ(slots.back(), 3 * kRingCapacity - 1);
}

TEST(HitRing, CannotBeResizedByTheClient) {
  const auto drain = Must(HitRingDrain::Make());
  EXPECT_NE(ftruncate(drain.file().get(), 0), 0);
  EXPECT_NE(ftruncate(drain.file().get(), kMiB), 0);
}

TEST(HitRing, HostileContentsCostABoundedDrain) {
  auto drain = Must(HitRingDrain::Make());
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    Bytes junk(16 * kKiB);
    for (size_t i = 0; i < junk.size(); i += 8)
      StoreLe<uint64_t>(junk.data() + i, random());
    ASSERT_TRUE(WriteFullAt(drain.file().get(), 0, junk).ok());
    EXPECT_LE(drain.Drain(1024).size(), 1024u);
  }
}

TEST(HitRing, GoesOnInAnotherRingUnderTheWritersHands) {
  auto first = Must(HitRingDrain::Make());
  auto second = Must(HitRingDrain::Make());
  auto ring = Must(HitRing::Map(first.file()));
  std::atomic<bool> over = false;
  std::jthread writer([&] {
    while (!over) ring.Record(1);
  });
  ASSERT_TRUE(ring.ReplaceWith(second.file()).ok());
  while (second.Drain(10).empty()) std::this_thread::yield();
  over = true;
}

TEST(HitRing, RefusesAFileThatIsNoRing) {
  auto file = Must(MakeMemoryFile("x", Bytes(100)));
  EXPECT_EQ(HitRing::Map(file).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace morsel
