// SPDX-License-Identifier: Apache-2.0
#include "origin/known_chunks.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"
#include "origin/chunk_object.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

constexpr const char* kRoot = "r0123456789ab";

class KnownChunksTest : public testing::Test {
 protected:
  ChunkName RandomName() {
    Digest digest;
    SystemRandom().Fill(digest);
    return ChunkName(digest);
  }
  void Fill(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const ChunkName name = RandomName();
      ASSERT_TRUE(store_.Put(ChunkKey(kRoot, name), AsBytes("x")).ok());
      stored_.insert(name);
    }
  }
  // Against the set: never wrong, and how often it does not know.
  size_t CheckAnswers(const KnownChunks& known) {
    size_t unknown = 0;
    for (const ChunkName& name : stored_) {
      EXPECT_NE(known.Look(name, 1), KnownChunks::Answer::kAbsent);
      unknown += known.Look(name, 1) == KnownChunks::Answer::kUnknown;
    }
    for (int i = 0; i < 1000; ++i)
      EXPECT_NE(known.Look(RandomName(), 1), KnownChunks::Answer::kPresent);
    return unknown;
  }

  MemoryStore store_;
  std::set<ChunkName> stored_;
};

TEST_F(KnownChunksTest, AnEmptyRootHasNothing) {
  const KnownChunks known = KnownChunks::Load(store_, kRoot, 500).value();
  EXPECT_EQ(known.request_count(), 1u);
  EXPECT_EQ(CheckAnswers(known), 0u);
}

TEST_F(KnownChunksTest, ASmallRootIsKnownByOneRequest) {
  Fill(900);
  const KnownChunks known = KnownChunks::Load(store_, kRoot, 10).value();
  EXPECT_EQ(known.request_count(), 1u);
  EXPECT_EQ(CheckAnswers(known), 0u);
}

TEST_F(KnownChunksTest, ALargerRootIsListedForAnImageOfManyChunks) {
  Fill(6000);
  const KnownChunks known = KnownChunks::Load(store_, kRoot, 500).value();
  EXPECT_LE(known.request_count(), 40u);
  EXPECT_EQ(CheckAnswers(known), 0u);
}

TEST_F(KnownChunksTest, AHugeRootIsNotListedForASmallImage) {
  Fill(6000);
  const KnownChunks known = KnownChunks::Load(store_, kRoot, 20).value();
  EXPECT_EQ(known.request_count(), 1u);
  EXPECT_GT(CheckAnswers(known), 4000u);
}

TEST_F(KnownChunksTest, OneOfAnotherSizeIsDamaged) {
  Fill(3);
  const KnownChunks known = KnownChunks::Load(store_, kRoot, 3).value();
  EXPECT_EQ(known.Look(*stored_.begin(), 2), KnownChunks::Answer::kDamaged);
}

}  // namespace
}  // namespace morsel
