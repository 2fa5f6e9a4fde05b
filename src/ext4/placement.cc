// SPDX-License-Identifier: Apache-2.0
#include "ext4/placement.h"

#include <sys/stat.h>

#include <algorithm>
#include <tuple>

#include "ext4/extent_map.h"
#include "ext4/geometry.h"

namespace morsel {
namespace {

constexpr uint64_t kLargeFileBlocks = 256 * kKiB / kBlockBytes;
constexpr uint64_t kOwnPackBlocks = 64 * kKiB / kBlockBytes;
constexpr uint32_t kHubEntries = 16;
constexpr size_t kXattrEntryBytes = 16;
constexpr size_t kXattrInodeBytes = 88;
constexpr uint64_t kFastSymlinkBytes = 60;

struct Slice {
  uint32_t begin = 0;  // into PathOrder::nodes
  uint32_t end = 0;
};

// Errs on the side of a block that then stays free.
bool MayNeedXattrBlock(const XattrSet& set) {
  size_t bytes = 0;
  for (const auto& [name, value] : set) {
    bytes +=
        kXattrEntryBytes + RoundUp(name.size(), 4) + RoundUp(value.size(), 4);
  }
  return bytes > kXattrInodeBytes;
}

class Placer {
 public:
  Placer(const Tree& tree, const PathOrder& order)
      : tree_(tree), order_(order), states_(tree, order, out_.inode) {}

  Result<Placement> Run() {
    out_.inode.assign(tree_.nodes.size(), 0);
    out_.place.assign(tree_.nodes.size(), 0);
    out_.directory_blocks.assign(order_.directories.size(), 0);
    out_.inode[0] = kRootInode;
    FindHubs();
    RETURN_IF_ERROR(PlanDirectories());
    uint64_t inode_index = kFirstFreeInode - 1;
    size_t next_directory = 0;
    Slice slice;
    for (uint32_t layer = 0; layer < tree_.layer_count; ++layer) {
      slice.begin = slice.end;
      while (slice.end < order_.nodes.size() &&
             Node(slice.end).layer == layer) {
        ++slice.end;
      }
      inode_index = NumberInodes(slice, inode_index);
      RETURN_IF_ERROR(PlaceLayer(slice, layer, next_directory));
    }
    RETURN_IF_ERROR(PlaceRest(next_directory));
    out_.inode_end = inode_index + 1;
    out_.place_end = place_;
    return std::move(out_);
  }

 private:
  const TreeNode& Node(uint32_t index) const {
    return tree_.nodes[order_.nodes[index]];
  }
  void Align() { place_ = RoundUp(place_, kChunkBlocks); }
  Status CheckRoom() const {
    if (place_ <= kMostPlaces) return Ok();
    return ChooseFlexGroups(place_, 0).error();
  }

  // A hub has directories or many entries of its own layer: upper layers add
  // to those rather than to a package's own folder.
  void FindHubs() {
    hub_.assign(order_.directories.size(), false);
    for (const HomeRun& run : order_.runs) {
      const uint32_t node = order_.directories[run.home_rank].node;
      if (run.layer != tree_.nodes[node].layer) continue;
      bool hub = run.end - run.begin >= kHubEntries;
      for (uint32_t i = run.begin; i < run.end && !hub; ++i) {
        hub = IsDirectory(Node(i));
      }
      hub_[run.home_rank] = hub;
    }
  }

  bool LikelyToChange(uint32_t node_index) const {
    const TreeNode& node = tree_.nodes[node_index];
    if (order_.directories[order_.rank[node.home]].rewritten) return true;
    if (node.home == 0) return true;
    return IsDirectory(node) && hub_[order_.rank[node_index]];
  }

  // Numbers are index + 1. Those likely to change come first; the others
  // begin a chunk of their own unless all fit one.
  uint64_t NumberInodes(Slice slice, uint64_t next) {
    if (slice.begin == slice.end) return next;
    if (next >= kFirstFreeInode) next = RoundUp(next, kChunkInodes);
    const uint64_t first_chunk_end = RoundUp(next + 1, kChunkInodes);
    const bool one_chunk = next + (slice.end - slice.begin) <= first_chunk_end;
    for (const bool changing : {true, false}) {
      if (!changing && !one_chunk) next = RoundUp(next, kChunkInodes);
      for (uint32_t i = slice.begin; i < slice.end; ++i) {
        const uint32_t node = order_.nodes[i];
        if (LikelyToChange(node) != changing) continue;
        out_.inode[node] = static_cast<uint32_t>(++next);
      }
    }
    return next;
  }

  Status PlaceLayer(Slice slice, uint32_t layer, size_t& next_directory) {
    for (uint32_t i = slice.begin; i < slice.end; ++i) {
      const uint64_t blocks = DataBlocks(i);
      if (blocks < kLargeFileBlocks) continue;
      Align();
      RETURN_IF_ERROR(PlaceData(i, blocks));
    }
    std::vector<Slice> joined;
    RETURN_IF_ERROR(PlacePacks(slice, joined));
    Align();
    const uint64_t joined_begin = place_;
    for (const Slice& pack : joined) {
      RETURN_IF_ERROR(PlaceSmall(pack));
    }
    uint64_t blocks = CountExtraBlocks(slice);
    for (size_t i = next_directory;
         i < out_.directories.size() && out_.directories[i].layer == layer;
         ++i) {
      blocks += out_.directories[i].blocks;
    }
    if (place_ + blocks > joined_begin + kChunkBlocks) Align();
    for (; next_directory < out_.directories.size() &&
           out_.directories[next_directory].layer == layer;
         ++next_directory) {
      RETURN_IF_ERROR(PlaceDirectory(out_.directories[next_directory]));
    }
    return PlaceExtra(slice);
  }

  uint64_t DataBlocks(uint32_t index) const {
    if (!S_ISREG(Node(index).mode)) return 0;
    return CountDataBlocks(ExtentsOf(tree_, Node(index)));
  }

  Status PlaceData(uint32_t index, uint64_t blocks) {
    out_.place[order_.nodes[index]] = static_cast<uint32_t>(place_);
    place_ += blocks;
    return CheckRoom();
  }

  // Small files below one pack root follow one another in the order of paths.
  Status PlacePacks(Slice slice, std::vector<Slice>& joined) {
    uint32_t begin = slice.begin;
    while (begin < slice.end) {
      const uint32_t root = PackRoot(begin);
      uint32_t end = begin;
      uint64_t blocks = 0;
      for (; end < slice.end && PackRoot(end) == root; ++end) {
        const uint64_t count = DataBlocks(end);
        if (count < kLargeFileBlocks) blocks += count;
      }
      if (blocks >= kOwnPackBlocks) {
        Align();
        RETURN_IF_ERROR(PlaceSmall({begin, end}));
      } else if (blocks > 0) {
        joined.push_back({begin, end});
      }
      begin = end;
    }
    return Ok();
  }

  uint32_t PackRoot(uint32_t index) const {
    return order_.directories[order_.rank[Node(index).home]].pack_root;
  }

  Status PlaceSmall(Slice pack) {
    for (uint32_t i = pack.begin; i < pack.end; ++i) {
      const uint64_t blocks = DataBlocks(i);
      if (blocks == 0 || blocks >= kLargeFileBlocks) continue;
      RETURN_IF_ERROR(PlaceData(i, blocks));
    }
    return Ok();
  }

  uint64_t ExtentBlocks(uint32_t index) const {
    if (!S_ISREG(Node(index).mode)) return 0;
    const auto extents = ExtentsOf(tree_, Node(index));
    return CountExtentBlocks(
        MapRuns(extents, out_.place[order_.nodes[index]]).size());
  }

  bool NeedsXattrBlock(const TreeNode& node) const {
    return node.xattr_set > 0 &&
           MayNeedXattrBlock(tree_.xattr_sets[node.xattr_set - 1]);
  }

  uint64_t CountExtraBlocks(Slice slice) const {
    uint64_t blocks = 0;
    for (uint32_t i = slice.begin; i < slice.end; ++i) {
      blocks += ExtentBlocks(i) + (NeedsXattrBlock(Node(i)) ? 1u : 0u) +
                (IsLongSymlink(Node(i)) ? 1u : 0u);
    }
    return blocks;
  }

  Status PlaceExtra(Slice slice) {
    for (uint32_t i = slice.begin; i < slice.end; ++i) {
      const uint32_t node = order_.nodes[i];
      if (IsLongSymlink(Node(i))) RETURN_IF_ERROR(PlaceData(i, 1));
      if (const uint64_t blocks = ExtentBlocks(i); blocks > 0) {
        out_.extra[node].extents = static_cast<uint32_t>(place_);
        place_ += blocks;
      }
      if (NeedsXattrBlock(Node(i))) {
        out_.extra[node].xattr = static_cast<uint32_t>(place_++);
      }
    }
    return CheckRoom();
  }

  // Lists every state of every directory that takes blocks, by layer.
  Status PlanDirectories() {
    size_t run = 0;
    for (uint32_t rank = 0; rank < order_.directories.size(); ++rank) {
      const uint32_t node_index = order_.directories[rank].node;
      const TreeNode& node = tree_.nodes[node_index];
      std::vector<uint16_t> layers = {node.layer};
      for (; run < order_.runs.size() && order_.runs[run].home_rank == rank;
           ++run) {
        if (order_.runs[run].layer > layers.back()) {
          layers.push_back(order_.runs[run].layer);
        }
      }
      const uint16_t last = layers.back();
      const bool told =
          node.changed_layer <= last || states_.SameAsNow(rank, last);
      for (const uint16_t layer : layers) {
        const bool now = !node.hidden && told && layer == last;
        RETURN_IF_ERROR(PlanDirectory(rank, layer, now));
      }
      if (!node.hidden && !told) {
        RETURN_IF_ERROR(PlanDirectory(
            rank, static_cast<uint16_t>(tree_.layer_count), true));
      }
    }
    std::sort(out_.directories.begin(), out_.directories.end(),
              [](const PlacedDirectory& a, const PlacedDirectory& b) {
                return std::tie(a.layer, a.rank) < std::tie(b.layer, b.rank);
              });
    return Ok();
  }

  Status PlanDirectory(uint32_t rank, uint16_t layer, bool now) {
    const auto items = now ? states_.Now(rank) : states_.AsOf(rank, layer);
    InlineDirectory inside;
    const uint32_t node = order_.directories[rank].node;
    if (tree_.nodes[node].xattr_set == 0 &&
        EncodeInlineDirectory(items, 0, &inside)) {
      return Ok();
    }
    ASSIGN_OR_RETURN(const uint32_t blocks, CountDirectoryBlocks(items));
    out_.directories.push_back({.rank = rank,
                                .place = 0,
                                .blocks = blocks,
                                .layer = layer,
                                .now = now});
    return Ok();
  }

  Status PlaceDirectory(PlacedDirectory& directory) {
    directory.place = static_cast<uint32_t>(place_);
    const uint64_t extents =
        CountExtentBlocks(MapWhole(directory.blocks, place_).size());
    place_ += directory.blocks;
    if (directory.now) {
      const uint32_t node = order_.directories[directory.rank].node;
      out_.place[node] = directory.place;
      out_.directory_blocks[directory.rank] = directory.blocks;
      if (extents > 0) {
        out_.extra[node].extents = static_cast<uint32_t>(place_);
      }
    }
    place_ += extents;
    return CheckRoom();
  }

  // What hangs on no layer that an upper image could know.
  Status PlaceRest(size_t next_directory) {
    Align();
    for (; next_directory < out_.directories.size(); ++next_directory) {
      RETURN_IF_ERROR(PlaceDirectory(out_.directories[next_directory]));
    }
    if (NeedsXattrBlock(tree_.nodes[0])) {
      out_.extra[0].xattr = static_cast<uint32_t>(place_++);
    }
    return CheckRoom();
  }

  const Tree& tree_;
  const PathOrder& order_;
  Placement out_;
  DirectoryStates states_;
  std::vector<bool> hub_;  // by rank
  // The first chunk of places stays free, so that 0 can mean none.
  uint64_t place_ = kChunkBlocks;
};

}  // namespace

bool IsLongSymlink(const TreeNode& node) {
  return S_ISLNK(node.mode) && node.size_bytes >= kFastSymlinkBytes;
}

Result<Placement> MakePlacement(const Tree& tree, const PathOrder& order) {
  return Placer(tree, order).Run();
}

}  // namespace morsel
