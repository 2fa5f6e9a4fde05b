// SPDX-License-Identifier: Apache-2.0
// Which inode number every node has and where everything lies (design: "Place
// for dedup"; docs/formats.md, "File system").
//
// Places and numbers follow from a node's layer and those below, so that a
// base lies alike in every image that is built on it. Each layer has, one
// behind another and each on a chunk boundary:
//   - inodes that upper layers are likely to change, then the others;
//   - files of 256 KiB and more, each on a chunk boundary;
//   - packs of the small files below one directory of depth 4, in path order;
//     packs under 64 KiB joined to one;
//   - blocks of directories as that layer left them, then blocks of extent
//     trees, extended attributes and long symlinks.
// A directory that an upper layer changes is written anew among that layer's;
// what it was before stays as a relic. What cannot be told from the layers
// below lies behind all layers.
//
// Thread safety: immutable once made.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "ext4/directory_state.h"
#include "ext4/order.h"
#include "ext4/tree.h"

namespace morsel {

// A directory as one layer left it, where that takes blocks.
struct PlacedDirectory {
  uint32_t rank = 0;
  uint32_t place = 0;
  uint32_t blocks = 0;
  uint16_t layer = 0;
  bool now = false;  // what the inode refers to; else a relic
};

// Blocks of a node beside its data; 0: none.
struct ExtraBlocks {
  uint32_t extents = 0;  // first place of the extent tree
  uint32_t xattr = 0;    // place of the block of extended attributes
};

struct Placement {
  std::vector<uint32_t> inode;  // by node
  // By node: the first place of its data (files), of its blocks now
  // (directories) or of its target (symlinks of 60 bytes and more).
  std::vector<uint32_t> place;
  std::vector<uint32_t> directory_blocks;  // by rank, now; 0: in the inode
  std::vector<PlacedDirectory> directories;
  std::unordered_map<uint32_t, ExtraBlocks> extra;  // by node
  uint64_t inode_end = 0;  // one more than the highest number
  uint64_t place_end = 0;
};

// kInvalid: a directory too large for its index, or more content than the
// largest file system has.
Result<Placement> MakePlacement(const Tree& tree, const PathOrder& order);

// True for a symlink whose target does not fit its inode.
bool IsLongSymlink(const TreeNode& node);

}  // namespace morsel
