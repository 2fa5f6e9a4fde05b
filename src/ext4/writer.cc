// SPDX-License-Identifier: Apache-2.0
#include "ext4/writer.h"

#include <sys/stat.h>

#include <memory>
#include <utility>

#include "ext4/check_tree.h"
#include "ext4/directory.h"
#include "ext4/directory_state.h"
#include "ext4/extent_map.h"
#include "ext4/inode.h"

namespace morsel {
namespace {

// Values up to this size never get an inode of their own.
constexpr size_t kSmallValue = 1024;

class TreeWriter {
 public:
  TreeWriter(const Tree& tree, const PathOrder& order,
             const Placement& placement, FileSystem& fs)
      : tree_(tree),
        order_(order),
        placement_(placement),
        fs_(fs),
        states_(tree, order, placement.inode) {}

  Status Run() {
    CountLinks();
    for (const PlacedDirectory& directory : placement_.directories) {
      RETURN_IF_ERROR(WriteBlocks(directory));
    }
    const bool hold = CountSpare(tree_).inodes > 0;
    if (hold) HoldInodes();
    RETURN_IF_ERROR(WriteNode(0));
    for (const uint32_t node : order_.nodes) {
      if (tree_.nodes[node].hidden) {
        RETURN_IF_ERROR(WriteRelic(node));
      } else {
        RETURN_IF_ERROR(WriteNode(node));
      }
    }
    if (hold) ReleaseInodes();
    return Ok();
  }

 private:
  void CountLinks() {
    links_.assign(tree_.nodes.size(), 0);
    for (const TreeEntry& entry : tree_.entries) {
      ++links_[entry.node];
      if (IsDirectory(tree_.nodes[entry.node])) ++links_[entry.directory];
    }
    for (size_t i = 0; i < links_.size(); ++i) {
      if (IsDirectory(tree_.nodes[i])) ++links_[i];  // its own "."
    }
    ++links_[0];  // the root's "..", which no entry names
  }

  // Inodes that libext2fs takes for values come behind all of the tree's.
  void HoldInodes() {
    for (uint64_t i = kFirstFreeInode; i < placement_.inode_end; ++i) {
      ext2fs_mark_inode_bitmap2(fs_.handle()->inode_map,
                                static_cast<ext2_ino_t>(i));
    }
  }
  void ReleaseInodes() {
    std::vector<bool> used(placement_.inode_end, false);
    for (size_t i = 0; i < tree_.nodes.size(); ++i) {
      if (!tree_.nodes[i].hidden) used[placement_.inode[i]] = true;
    }
    for (uint64_t i = kFirstFreeInode; i < placement_.inode_end; ++i) {
      if (used[i]) continue;
      ext2fs_unmark_inode_bitmap2(fs_.handle()->inode_map,
                                  static_cast<ext2_ino_t>(i));
    }
  }

  Status WriteBlocks(const PlacedDirectory& directory) {
    const uint32_t node = order_.directories[directory.rank].node;
    const auto items = directory.now
                           ? states_.Now(directory.rank)
                           : states_.AsOf(directory.rank, directory.layer);
    if (directory.now) fs_.UsePlaces(directory.place, directory.blocks);
    return WriteDirectory(fs_, items,
                          {.inode = placement_.inode[node],
                           .parent = placement_.inode[tree_.nodes[node].home],
                           .place = directory.place,
                           .use = directory.now ? Use::kLive : Use::kRelic});
  }

  ExtraBlocks ExtraOf(uint32_t node) const {
    const auto it = placement_.extra.find(node);
    return it == placement_.extra.end() ? ExtraBlocks{} : it->second;
  }

  // Blocks that stay as they were, though nothing refers to them.
  Status WriteRelic(uint32_t index) {
    const TreeNode& node = tree_.nodes[index];
    if (IsLongSymlink(node)) return WriteTarget(index, Use::kRelic);
    const uint32_t place = ExtraOf(index).extents;
    if (place == 0 || !S_ISREG(node.mode)) return Ok();
    const auto runs = MapRuns(ExtentsOf(tree_, node), placement_.place[index]);
    auto root =
        WriteExtents(fs_, placement_.inode[index], runs, place, Use::kRelic);
    return root.ok() ? Ok() : Status(std::move(root).error());
  }

  Status WriteTarget(uint32_t index, Use use) {
    Bytes block(kBlockBytes);
    const std::string& target = tree_.symlinks[tree_.nodes[index].symlink];
    std::memcpy(block.data(), target.data(), target.size());
    return fs_.scratch().Write(
        BlockOfPlace(placement_.place[index]) * kBlockBytes, block, use);
  }

  Status WriteNode(uint32_t index) {
    const TreeNode& node = tree_.nodes[index];
    RawInode inode = MakeInode(node);
    SetLinks(inode, links_[index]);
    RETURN_IF_ERROR(SetContent(index, inode));
    const uint32_t number = placement_.inode[index];
    fs_.UseInode(number, IsDirectory(node));
    RETURN_IF_ERROR(fs_.Check(
        ext2fs_write_inode_full(fs_.handle(), number,
                                reinterpret_cast<ext2_inode*>(&inode.fields),
                                kInodeBytes),
        "write an inode"));
    if (node.xattr_set == 0) return Ok();
    RETURN_IF_ERROR_AS(WriteXattrs(index), PathOf(tree_, index));
    return Ok();
  }

  Status SetContent(uint32_t index, RawInode& inode) {
    const TreeNode& node = tree_.nodes[index];
    if (IsDirectory(node)) return SetDirectory(index, inode);
    if (S_ISREG(node.mode)) {
      const auto extents = ExtentsOf(tree_, node);
      const uint64_t blocks = CountDataBlocks(extents);
      return SetRuns(index, MapRuns(extents, placement_.place[index]),
                     node.size_bytes, blocks, inode);
    }
    if (IsLongSymlink(node)) {
      RETURN_IF_ERROR(WriteTarget(index, Use::kLive));
      return SetRuns(index, MapWhole(1, placement_.place[index]),
                     node.size_bytes, 1, inode);
    }
    if (S_ISLNK(node.mode)) SetFastSymlink(inode, tree_.symlinks[node.symlink]);
    return Ok();
  }

  Status SetDirectory(uint32_t index, RawInode& inode) {
    const uint32_t rank = order_.rank[index];
    const uint32_t blocks = placement_.directory_blocks[rank];
    if (blocks == 0) {
      InlineDirectory inside;
      EncodeInlineDirectory(states_.Now(rank),
                            placement_.inode[tree_.nodes[index].home], &inside);
      SetInlineDirectory(inode, inside);
      return Ok();
    }
    if (blocks > 1) inode.fields.i_flags |= EXT2_INDEX_FL;
    return SetRuns(index, MapWhole(blocks, placement_.place[index]),
                   uint64_t{blocks} * kBlockBytes, blocks, inode);
  }

  // `blocks` are those of the content, from placement_.place[index] on.
  Status SetRuns(uint32_t index, const std::vector<MappedRun>& runs,
                 uint64_t size_bytes, uint64_t blocks, RawInode& inode) {
    const uint32_t extra = ExtraOf(index).extents;
    const uint64_t extra_blocks = CountExtentBlocks(runs.size());
    ASSIGN_OR_RETURN(const auto root, WriteExtents(fs_, placement_.inode[index],
                                                   runs, extra, Use::kLive));
    SetExtents(inode, root, size_bytes, blocks + extra_blocks);
    if (extra_blocks > 0) fs_.UsePlaces(extra, extra_blocks);
    // A directory's were marked when they were written.
    if (blocks > 0 && !IsDirectory(tree_.nodes[index])) {
      fs_.UsePlaces(placement_.place[index], blocks);
    }
    return Ok();
  }

  Status WriteXattrs(uint32_t index) {
    const TreeNode& node = tree_.nodes[index];
    ext2_xattr_handle* raw = nullptr;
    RETURN_IF_ERROR(fs_.Check(
        ext2fs_xattrs_open(fs_.handle(), placement_.inode[index], &raw),
        "open extended attributes"));
    const auto close = [](ext2_xattr_handle* h) { ext2fs_xattrs_close(&h); };
    const std::unique_ptr<ext2_xattr_handle, decltype(close)> handle(raw,
                                                                     close);
    RETURN_IF_ERROR(
        fs_.Check(ext2fs_xattrs_read(raw), "read extended attributes"));
    fs_.SetReserved(ExtraOf(index).xattr);
    for (const auto& [name, value] : tree_.xattr_sets[node.xattr_set - 1]) {
      RETURN_IF_ERROR(fs_.Check(
          ext2fs_xattr_set(raw, name.c_str(), value.data(), value.size()),
          "set extended attribute " + name));
    }
    fs_.SetReserved(0);
    return Ok();
  }

  const Tree& tree_;
  const PathOrder& order_;
  const Placement& placement_;
  FileSystem& fs_;
  DirectoryStates states_;
  std::vector<uint32_t> links_;
};

}  // namespace

SpareNeed CountSpare(const Tree& tree) {
  SpareNeed need;
  for (const TreeNode& node : tree.nodes) {
    if (node.xattr_set == 0 || node.hidden) continue;
    for (const auto& attribute : tree.xattr_sets[node.xattr_set - 1]) {
      const uint64_t bytes = attribute.second.size();
      if (bytes <= kSmallValue) continue;
      ++need.inodes;
      need.blocks += bytes / kBlockBytes + 2;
    }
  }
  return need;
}

Status WriteTree(const Tree& tree, const PathOrder& order,
                 const Placement& placement, FileSystem& fs) {
  return TreeWriter(tree, order, placement, fs).Run();
}

}  // namespace morsel
