// SPDX-License-Identifier: Apache-2.0
// Random trees of several layers: what libext2fs reads is what was put in,
// e2fsck is content, and neither the order of nodes nor upper layers move what
// lower layers placed.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>
#include <set>

#include "ext4/extent_map.h"
#include "ext4/order.h"
#include "ext4/placement.h"
#include "ext4/test_tree.h"
#include "ext4/unchanged.h"

namespace morsel {
namespace {

class RandomTree {
 public:
  explicit RandomTree(uint64_t seed) : random_(seed) {}

  TreeBuilder& builder() { return builder_; }

  void FillLayer() {
    made_.clear();
    const size_t count = 20 + Below(40);
    for (size_t i = 0; i < count; ++i) Step();
    if (Below(3) == 0) FillDirectory();
  }

 private:
  size_t Below(size_t limit) { return random_() % limit; }
  std::string AnyOf(const std::set<std::string>& set) {
    auto it = set.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(Below(set.size())));
    return *it;
  }
  // Few names, so that layers meet.
  std::string NewPath() {
    std::string path = AnyOf(directories_);
    if (!path.empty()) path += "/";
    path += std::string(1 + Below(2) * Below(200), "abcdefgh"[Below(8)]);
    return path;
  }
  std::string Content() {
    static constexpr size_t kSizes[] = {0,    1,      4096,   4097,
                                        9000, 100000, 262144, 700000};
    std::string content(kSizes[Below(8)], '\0');
    for (size_t i = 0; i < content.size(); i += 1 + Below(1000)) {
      content[i] = static_cast<char>(random_());
    }
    return content;
  }

  // A layer says one thing of a path, as a tar that was read does.
  bool IsMade(const std::string& path) const {
    const auto below = made_.lower_bound(path + "/");
    return made_.contains(path) ||
           (below != made_.end() && below->starts_with(path + "/"));
  }

  void Forget(const std::string& path) {
    made_.insert(path);
    const std::string below = path + "/";
    const auto gone = [&](const std::string& other) {
      return other == path || other.starts_with(below);
    };
    std::erase_if(files_, gone);
    std::erase_if(directories_, gone);
    std::erase_if(other_, gone);
  }

  void SetFacts(TreeNode& node) {
    node.uid = static_cast<uint32_t>(Below(3) * 70000);
    node.gid = static_cast<uint32_t>(Below(2));
    node.mtime_seconds = static_cast<int64_t>(Below(4)) * 3000000000 - 5;
    node.mtime_nanoseconds = static_cast<uint32_t>(Below(1000000000));
  }

  void PutFile(const std::string& path, const std::string& content) {
    Forget(path);
    SetFacts(builder_.File(path, content));
    files_.insert(path);
  }

  void Step() {
    const std::string path = NewPath();
    if (IsMade(path)) return;
    switch (Below(10)) {
      case 0:
      case 1:
        if (!builder_.Has(path)) {
          made_.insert(path);
          SetFacts(builder_.Directory(path));
          directories_.insert(path);
        }
        return;
      case 2:
        Forget(path);
        builder_.Symlink(path, std::string(1 + Below(200), 't'));
        other_.insert(path);
        return;
      case 3:
        if (files_.empty() || files_.contains(path)) return;
        if (builder_.Has(path)) return;
        made_.insert(path);
        builder_.HardLink(path, AnyOf(files_));
        files_.insert(path);
        return;
      case 4:
        if (!builder_.Has(path)) return;
        Forget(path);
        builder_.Remove(path);
        return;
      case 5:
      case 6:
        if (!files_.empty()) WriteAgain(AnyOf(files_));
        return;
      case 7:
        Forget(path);
        builder_.SparseFile(path, 3000000,
                            {{5000, std::string(10, 's')},
                             {900000, std::string(1 + Below(300000), 'm')},
                             {2900000, std::string(100000, 'e')}});
        files_.insert(path);
        return;
      default:
        PutFile(path, Content());
    }
  }

  // As chown does, or an upgrade.
  void WriteAgain(const std::string& path) {
    if (IsMade(path)) return;
    const std::string content = builder_.ContentOf(path);
    PutFile(path, content);
  }

  void FillDirectory() {
    std::string path = AnyOf(directories_);
    if (!path.empty()) path += "/";
    const size_t count = Below(700);
    for (size_t i = 0; i < count; ++i) {
      const std::string name = path + "many-" + std::to_string(i);
      if (!IsMade(name)) PutFile(name, "");
    }
  }

  std::mt19937_64 random_;
  TreeBuilder builder_;
  std::set<std::string> directories_ = {""};
  std::set<std::string> files_;
  std::set<std::string> other_;
  std::set<std::string> made_;  // by this layer
};

uint64_t StartSeed() {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

TEST(RandomTree, IsReadBackAndClean) {
  const uint64_t start = StartSeed();
  for (uint64_t seed = start; seed < start + 2; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomTree tree(seed);
    for (int layer = 0; layer < 4; ++layer) {
      if (layer > 0) tree.builder().NextLayer();
      tree.FillLayer();
    }
    TreeBuilder& builder = tree.builder();
    const auto image = BuildImage(builder.Build(), builder.source());
    ASSERT_NE(image, nullptr);
    const TestFolder folder;
    const std::string path = folder.path() + "/image";
    SaveImage(*image, builder.source(), path);
    ExpectClean(path);
    EXPECT_EQ(ReadFiles(path), builder.Expected());
  }
}

TEST(RandomTree, IsTheSameBytesHoweverItsNodesAreNumbered) {
  const uint64_t seed = StartSeed();
  RandomTree tree(seed);
  for (int layer = 0; layer < 3; ++layer) {
    if (layer > 0) tree.builder().NextLayer();
    tree.FillLayer();
  }
  TreeBuilder& builder = tree.builder();
  const auto first = BuildImage(builder.Build(), builder.source());
  const auto second = BuildImage(builder.Build(seed | 1), builder.source());
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(ReadChunks(*first, builder.source()),
            ReadChunks(*second, builder.source()));
}

struct Placed {
  explicit Placed(TreeBuilder& builder)
      : tree(builder.Build()), order(MakePathOrder(tree)) {
    EXPECT_TRUE(FindUnchanged(tree, builder.source(), order).ok());
    auto made = MakePlacement(tree, order);
    EXPECT_TRUE(made.ok());
    if (made.ok()) placement = std::move(made).value();
  }
  Tree tree;
  PathOrder order;
  Placement placement;
};

TEST(RandomTree, UpperLayersMoveNothingOfLowerOnes) {
  const uint64_t start = StartSeed();
  for (uint64_t seed = start; seed < start + 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomTree tree(seed);
    tree.FillLayer();
    for (int layer = 1; layer < 4; ++layer) {
      const Placed below(tree.builder());
      tree.builder().NextLayer();
      tree.FillLayer();
      const Placed above(tree.builder());
      for (uint32_t i = 0; i < below.tree.nodes.size(); ++i) {
        ASSERT_EQ(below.placement.inode[i], above.placement.inode[i]) << i;
        if (!S_ISREG(below.tree.nodes[i].mode)) continue;
        ASSERT_EQ(below.placement.place[i], above.placement.place[i]) << i;
      }
    }
  }
}

// The chunks that hold nothing but data of files.
std::set<uint32_t> DataChunks(const Placed& placed) {
  std::set<uint32_t> data;
  std::set<uint32_t> other;
  const auto add = [](std::set<uint32_t>& to, uint64_t place, uint64_t count) {
    ForEachBlockRun(place, count, [&](uint64_t block, uint64_t, uint64_t n) {
      for (uint64_t i = block; i < block + n; ++i) {
        to.insert(static_cast<uint32_t>(i / kChunkBlocks));
      }
    });
  };
  for (uint32_t i = 0; i < placed.tree.nodes.size(); ++i) {
    const TreeNode& node = placed.tree.nodes[i];
    const uint64_t place = placed.placement.place[i];
    if (S_ISREG(node.mode)) {
      add(data, place, CountDataBlocks(ExtentsOf(placed.tree, node)));
    } else if (IsLongSymlink(node)) {
      add(other, place, 1);
    }
  }
  for (const PlacedDirectory& directory : placed.placement.directories) {
    add(other, directory.place, directory.blocks);
  }
  for (const auto& [node, extra] : placed.placement.extra) {
    if (extra.extents > 0) add(other, extra.extents, 1);
    if (extra.xattr > 0) add(other, extra.xattr, 1);
  }
  for (const uint32_t chunk : other) data.erase(chunk);
  return data;
}

TEST(RandomTree, LowerLayersGiveTheSameChunksWhateverIsAbove) {
  const uint64_t start = StartSeed();
  for (uint64_t seed = start; seed < start + 2; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomTree tree(seed);
    TreeBuilder& builder = tree.builder();
    tree.FillLayer();
    const auto data = DataChunks(Placed(builder));
    const auto base = BuildImage(builder.Build(), builder.source());
    const auto below = ReadChunks(*base, builder.source());
    builder.NextLayer();
    tree.FillLayer();
    const auto image = BuildImage(builder.Build(), builder.source());
    const auto above = ReadChunks(*image, builder.source());
    for (const uint32_t index : data) {
      const auto here = below.find(index);
      const auto there = above.find(index);
      // Left out where all of it is hidden.
      if (here == below.end() || there == above.end()) continue;
      EXPECT_TRUE(here->second == there->second) << "chunk " << index;
    }
  }
}

}  // namespace
}  // namespace morsel
