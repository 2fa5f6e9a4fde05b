// SPDX-License-Identifier: Apache-2.0
#include "origin/popular.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "store/memory_store.h"

namespace morsel {
namespace {

constexpr const char* kRoot = "r0123456789ab";

ChunkName Name(uint8_t byte) {
  Digest digest{};
  digest[0] = static_cast<std::byte>(byte);
  return ChunkName(digest);
}

TEST(PopularTest, OnlyGrowsAndCountsItsVersions) {
  MemoryStore store;
  EXPECT_EQ(ReadPopular(store, kRoot)->version, 0u);
  const std::vector<ChunkName> some = {Name(3), Name(1), Name(3)};
  EXPECT_EQ(GrowPopular(store, kRoot, some, 4)->version, 1u);
  EXPECT_EQ(GrowPopular(store, kRoot, some, 4)->version, 1u);
  EXPECT_EQ(GrowPopular(store, kRoot, {}, 4)->version, 1u);
  const std::vector<ChunkName> more = {Name(2)};
  EXPECT_EQ(GrowPopular(store, kRoot, more, 16)->version, 2u);
  const PopularList list = ReadPopular(store, kRoot).value();
  EXPECT_EQ(list.version, 2u);
  EXPECT_EQ(list.variants, 4u);  // of the first
  EXPECT_EQ(list.names, (std::vector<ChunkName>{Name(1), Name(2), Name(3)}));
  EXPECT_TRUE(list.Contains(Name(2)));
  EXPECT_FALSE(list.Contains(Name(4)));
}

TEST(PopularTest, LosesNoNameWhenManyGrowIt) {
  MemoryStore store;
  {
    std::vector<std::jthread> threads;
    for (uint8_t i = 0; i < 4; ++i)
      threads.emplace_back([&, i] {
        for (uint8_t k = 0; k < 8; ++k) {
          const std::vector<ChunkName> one = {
              Name(static_cast<uint8_t>(i * 8 + k))};
          EXPECT_TRUE(GrowPopular(store, kRoot, one, 4).ok());
        }
      });
  }
  EXPECT_EQ(ReadPopular(store, kRoot)->names.size(), 32u);
  EXPECT_EQ(ReadPopular(store, kRoot)->version, 32u);
}

TEST(PopularTest, SpreadsRepositoriesEvenlyOverTheVariants) {
  const PopularList list{.version = 1, .variants = 16, .names = {}};
  std::map<uint32_t, int> counts;
  for (int i = 0; i < 16'000; ++i)
    ++counts[list.VariantOf("team/app" + std::to_string(i))];
  EXPECT_EQ(counts.size(), 16u);
  for (const auto& [variant, count] : counts) EXPECT_NEAR(count, 1000, 200);
  EXPECT_EQ(list.VariantOf("a"), list.VariantOf("a"));
  EXPECT_EQ(PopularList{}.VariantOf("a"), 0u);
}

TEST(PopularTest, RefusesAListThatIsDamaged) {
  const PopularList list{
      .version = 7, .variants = 4, .names = {Name(1), Name(2)}};
  const std::string good = EncodePopular(list);
  const Result<PopularList> back = DecodePopular(good);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(EncodePopular(*back), good);
  const std::string name = Name(1).ToString() + "\n";
  for (const std::string& text :
       {std::string(), std::string("morsel-popular-2 version=1 variants=1\n"),
        std::string("morsel-popular-1 version=0 variants=1\n"),
        std::string("morsel-popular-1 version=1 variants=0\n"),
        std::string("morsel-popular-1 version=1 variants=9999\n"),
        std::string("morsel-popular-1 version=1 variants=1 \n"),
        std::string("morsel-popular-1 variants=1 version=1\n"), good + name,
        good + "x\n", good + "\n"})
    EXPECT_EQ(DecodePopular(text).error().code, Code::kCorrupt) << text;
}

}  // namespace
}  // namespace morsel
