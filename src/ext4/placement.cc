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
constexpr uint32_t kFullEntries = 128;
constexpr uint32_t kSharedDepth = 3;
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
  // to those rather than to a package's own folder. A full one is a database
  // of which a layer changes few files (/var/lib/dpkg/info).
  void FindHubs() {
    hub_.assign(order_.directories.size(), false);
    full_.assign(order_.directories.size(), false);
    for (const HomeRun& run : order_.runs) {
      const uint32_t node = order_.directories[run.home_rank].node;
      if (run.layer != tree_.nodes[node].layer) continue;
      full_[run.home_rank] = run.end - run.begin >= kFullEntries;
      bool hub = run.end - run.begin >= kHubEntries;
      for (uint32_t i = run.begin; i < run.end && !hub; ++i) {
        hub = IsDirectory(Node(i));
      }
      hub_[run.home_rank] = hub;
    }
  }

  // Inodes of one kind lie together, so that a change spoils few chunks.
  enum class InodeKind { kChanging, kDirectory, kOther };

  InodeKind KindOf(uint32_t node_index) const {
    const TreeNode& node = tree_.nodes[node_index];
    const uint32_t home = order_.rank[node.home];
    const bool rewritten = order_.directories[home].rewritten;
    if (node.home == 0) return InodeKind::kChanging;
    if (!IsDirectory(node)) {
      return rewritten && !full_[home] ? InodeKind::kChanging
                                       : InodeKind::kOther;
    }
    const uint32_t rank = order_.rank[node_index];
    return rewritten || hub_[rank] ||
                   order_.directories[rank].depth <= kSharedDepth
               ? InodeKind::kChanging
               : InodeKind::kDirectory;
  }

  // Gives nodes the number of those whose place they took; how many others
  // there are.
  uint64_t InheritInodes(Slice slice) {
    uint64_t others = 0;
    for (uint32_t i = slice.begin; i < slice.end; ++i) {
      const uint32_t node = order_.nodes[i];
      if (order_.before[node] == kNoNode) {
        ++others;
      } else {
        out_.inode[node] = out_.inode[order_.before[node]];
      }
    }
    return others;
  }

  // Numbers are index + 1. Each kind begins a chunk of its own unless all fit
  // one.
  uint64_t NumberInodes(Slice slice, uint64_t next) {
    const uint64_t others = InheritInodes(slice);
    if (others == 0) return next;
    if (next >= kFirstFreeInode) next = RoundUp(next, kChunkInodes);
    const uint64_t first_chunk_end = RoundUp(next + 1, kChunkInodes);
    const bool one_chunk = next + others <= first_chunk_end;
    for (const InodeKind kind :
         {InodeKind::kChanging, InodeKind::kDirectory, InodeKind::kOther}) {
      const bool first = kind == InodeKind::kChanging;
      if (!first && !one_chunk) next = RoundUp(next, kChunkInodes);
      for (uint32_t i = slice.begin; i < slice.end; ++i) {
        const uint32_t node = order_.nodes[i];
        if (order_.before[node] != kNoNode) continue;
        if (KindOf(node) != kind) continue;
        out_.inode[node] = static_cast<uint32_t>(++next);
      }
    }
    return next;
  }

  // Files with the bytes of those before them lie where those lay.
  void KeepPlaces(Slice slice) {
    for (uint32_t i = slice.begin; i < slice.end; ++i) {
      const uint32_t node = order_.nodes[i];
      if (!order_.unchanged[node]) continue;
      const uint32_t before = order_.before[node];
      out_.place[node] = out_.place[before];
      const auto it = out_.extra.find(before);
      if (it != out_.extra.end() && it->second.extents > 0) {
        const uint32_t extents = it->second.extents;
        out_.extra[node].extents = extents;
      }
    }
  }

  Status PlaceLayer(Slice slice, uint32_t layer, size_t& next_directory) {
    KeepPlaces(slice);
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

  // Blocks that the data of a file needs a place for.
  uint64_t DataBlocks(uint32_t index) const {
    if (!S_ISREG(Node(index).mode)) return 0;
    if (order_.unchanged[order_.nodes[index]]) return 0;
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
    if (order_.unchanged[order_.nodes[index]]) return 0;
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
        const uint16_t layer = order_.runs[run].layer;
        if (layer > layers.back() &&
            !states_.SameAsOf(rank, layers.back(), layer)) {
          layers.push_back(layer);
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
    // The kernel mounts no file system whose root has no block.
    if (out_.inode[node] != kRootInode && tree_.nodes[node].xattr_set == 0 &&
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
  std::vector<bool> hub_;   // by rank
  std::vector<bool> full_;  // by rank
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
