// SPDX-License-Identifier: Apache-2.0
#include "ext4/unchanged.h"

#include <gtest/gtest.h>

#include <vector>

#include "ext4/geometry.h"
#include "ext4/test_tree.h"

namespace morsel {
namespace {

constexpr uint32_t kFirstTableChunk = kInodeTables / kChunkBlocks;

// The chunks that two images do not share, by index.
std::vector<uint32_t> Differing(TreeBuilder& builder, const Tree& a,
                                const Tree& b) {
  const auto x = BuildImage(a, builder.source());
  const auto y = BuildImage(b, builder.source());
  ExpectClean(*y, builder.source());
  const auto before = ReadChunks(*x, builder.source());
  auto after = ReadChunks(*y, builder.source());
  std::vector<uint32_t> differing;
  for (const auto& [index, bytes] : before) {
    if (after[index] != bytes) differing.push_back(index);
    after.erase(index);
  }
  for (const auto& chunk : after) differing.push_back(chunk.first);
  return differing;
}

TEST(Unchanged, AFileWithOtherOwnerAndTheSameBytesChangesItsInodeAlone) {
  TreeBuilder builder;
  const std::string large(700000, 'l');
  builder.File("app/large", large);
  for (int i = 0; i < 200; ++i) {
    builder.File("app/small-file-" + std::to_string(i), "small");
  }
  const Tree below = builder.Build();
  builder.NextLayer();
  builder.File("app/large", large).uid = 1000;
  for (int i = 0; i < 200; ++i) {
    builder.File("app/small-file-" + std::to_string(i), "small").uid = 1000;
  }
  EXPECT_EQ(Differing(builder, below, builder.Build()),
            std::vector<uint32_t>{kFirstTableChunk});
}

TEST(Unchanged, AFileWithOtherBytesOfTheSameLengthIsPlacedAnew) {
  TreeBuilder builder;
  builder.File("a", std::string(5000, 'a'));
  builder.NextLayer();
  builder.File("a", std::string(4999, 'a') + "b");
  const Tree tree = builder.Build();
  PathOrder order = MakePathOrder(tree);
  ASSERT_TRUE(FindUnchanged(tree, builder.source(), order).ok());
  EXPECT_EQ(order.before[2], 1u);
  EXPECT_FALSE(order.unchanged[2]);
  const auto image = BuildImage(tree, builder.source());
  ExpectClean(*image, builder.source());
}

TEST(Unchanged, AFileThatKeepsAnotherNameGivesNothingAway) {
  TreeBuilder builder;
  builder.File("a", "bytes");
  builder.HardLink("b", "a");
  builder.NextLayer();
  builder.File("a", "bytes");
  const Tree tree = builder.Build();
  EXPECT_EQ(MakePathOrder(tree).before[2], kNoNode);
  const auto image = BuildImage(tree, builder.source());
  ExpectClean(*image, builder.source());
}

TEST(Unchanged, AFileWhoseOtherNameGoesLaterGivesNothingAwayEither) {
  TreeBuilder builder;
  builder.File("a", "bytes");
  builder.HardLink("b", "a");
  builder.NextLayer();
  builder.File("a", "bytes");
  builder.NextLayer();
  builder.Remove("b");
  EXPECT_EQ(MakePathOrder(builder.Build()).before[2], kNoNode);
}

TEST(Unchanged, AChainOfLayersKeepsOnePlace) {
  TreeBuilder builder;
  builder.File("sparse", "x");
  std::map<uint64_t, std::string> pieces;
  for (uint64_t i = 0; i < 10; ++i) pieces[i * 20000] = std::string(5000, 'p');
  for (int layer = 0; layer < 4; ++layer) {
    if (layer > 0) builder.NextLayer();
    builder.SparseFile("sparse", 250000, pieces).gid =
        static_cast<uint32_t>(layer);
  }
  const Tree tree = builder.Build();
  const auto image = BuildImage(tree, builder.source());
  const TestFolder folder;
  const std::string path = folder.path() + "/image";
  SaveImage(*image, builder.source(), path);
  ExpectClean(path);
  EXPECT_EQ(ReadFiles(path), builder.Expected());
  PathOrder order = MakePathOrder(tree);
  ASSERT_TRUE(FindUnchanged(tree, builder.source(), order).ok());
  EXPECT_EQ(order.first[5], 2u);
  EXPECT_TRUE(order.unchanged[5]);
}

TEST(Unchanged, SaysWhichSourceCannotBeRead) {
  TreeBuilder builder;
  builder.File("a", "bytes");
  builder.NextLayer();
  builder.File("a", "bytes");
  const Tree tree = builder.Build();
  PathOrder order = MakePathOrder(tree);
  MemorySource empty;
  EXPECT_EQ(FindUnchanged(tree, empty, order).error().code, Code::kIo);
}

}  // namespace
}  // namespace morsel
