// SPDX-License-Identifier: Apache-2.0
#include "gc/popularity.h"

#include <gtest/gtest.h>

#include "gc/check.h"
#include "origin/popular.h"
#include "origin/test_image.h"
#include "store/memory_store.h"
#include "store/stats_store.h"

namespace morsel {
namespace {

ChunkName Name(uint64_t number) {
  return ChunkName(Sha256Of(AsBytes(std::to_string(number))));
}

TEST(NameCounter, FindsWhatIsFrequentAmongManyMoreNamesThanItHasCounters) {
  constexpr size_t kCounters = 100;
  NameCounter counter(kCounters);
  uint64_t seldom = 1000;
  for (int round = 0; round < 500; ++round) {
    for (uint64_t often = 0; often < 5; ++often) counter.Add(Name(often));
    for (int i = 0; i < 20; ++i) counter.Add(Name(++seldom));
  }
  // Of 12,500 references each counter has lost a hundredth at most.
  const std::vector<ChunkName> found = counter.AtLeast(500 - 125, 10);
  EXPECT_EQ(found.size(), 5u);
  for (const ChunkName& name : found) {
    bool is_often = false;
    for (uint64_t often = 0; often < 5; ++often)
      is_often = is_often || name == Name(often);
    EXPECT_TRUE(is_often);
  }
  EXPECT_EQ(counter.AtLeast(1, 3).size(), 3u);
}

TEST(PublishPopular, ListsWhatManyManifestsNameAndGrowsWithThem) {
  TestFolder folder;
  const auto keys = MakeTestKeys(folder, "key");
  MemoryStore memory;
  StatsStore store(memory);
  Origin origin(store, SystemClock());
  const PopularityOptions options{.manifests_min = 3, .variants = 4};
  const auto publish = [&](int from, int to, uint8_t seed) {
    for (int i = from; i < to; ++i)
      ASSERT_TRUE(
          PublishTestImage(origin, *keys, "i" + std::to_string(i), 2, seed)
              .ok());
  };
  publish(0, 2, 1);
  const std::string root = origin.ListRoots()->front().id;
  EXPECT_EQ(PublishPopular(store, root, options).value(), 0u);
  publish(2, 4, 1);
  publish(4, 5, 2);  // in one image alone
  EXPECT_EQ(PublishPopular(store, root, options).value(), 2u);
  PopularList list = ReadPopular(store, root).value();
  EXPECT_EQ(list.variants, 4u);
  EXPECT_EQ(list.version, 1u);
  EXPECT_EQ(list.names.size(), 2u);

  // Not read again before there are a quarter more.
  publish(5, 6, 2);
  const uint64_t gets = store.Of(StoreOp::kGet).calls;
  EXPECT_EQ(PublishPopular(store, root, options).value(), 0u);
  EXPECT_EQ(store.Of(StoreOp::kGet).calls, gets + 1);
  publish(6, 7, 2);
  EXPECT_EQ(PublishPopular(store, root, options).value(), 2u);
  list = ReadPopular(store, root).value();
  EXPECT_EQ(list.version, 2u);
  EXPECT_EQ(list.names.size(), 4u);
}

// Converts go on without it: only the check says so.
TEST(PublishPopular, AListThatIsDamagedIsFoundByTheCheck) {
  MemoryStore store;
  const TestFolder folder;
  const auto keys = MakeTestKeys(folder, "key");
  Origin origin(store, SystemClock());
  ASSERT_TRUE(PublishTestImage(origin, *keys, "a", 2, 1).ok());
  const std::string root = origin.ListRoots()->front().id;
  EXPECT_TRUE(CheckInvariants(store, 0)->problems.empty());
  ASSERT_TRUE(store.Put(PopularKey(root), AsBytes("junk")).ok());
  const GcCheck check = CheckInvariants(store, 0).value();
  ASSERT_EQ(check.problems.size(), 1u);
  EXPECT_EQ(check.problems[0].where, PopularKey(root));
  EXPECT_NE(check.problems[0].what.find("delete it"), std::string::npos);
}

}  // namespace
}  // namespace morsel
