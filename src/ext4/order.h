// SPDX-License-Identifier: Apache-2.0
// The order of a tree's nodes by where their layers put them.
//
// Everything that placement does follows from this order, so it rests on
// names and layers only, never on how nodes happen to be numbered in the Tree;
// nodes of upper layers may come in between but never swap two lower ones.
//
// Thread safety: immutable once built.
#pragma once

#include <cstdint>
#include <vector>

#include "ext4/tree.h"

namespace morsel {

inline constexpr uint32_t kNoRank = UINT32_MAX;
inline constexpr uint32_t kNoNode = UINT32_MAX;

struct DirectoryFacts {
  uint32_t node = 0;
  // Rank of the ancestor at depth 4, or of itself above that: small files of
  // one layer with one pack root are stored together.
  uint32_t pack_root = 0;
  uint32_t depth = 0;  // 0: the root
  // Below a directory that installing and configuring packages rewrites
  // (/etc, /var, ...).
  bool rewritten = false;
};

// Nodes of one layer with one home are a run in PathOrder::nodes.
struct HomeRun {
  uint32_t home_rank = 0;
  uint32_t begin = 0;
  uint32_t end = 0;  // begin == end: the layer only took names away
  uint16_t layer = 0;
};

struct PathOrder {
  // By node: directories in depth-first order of paths; kNoRank for others.
  std::vector<uint32_t> rank;
  std::vector<DirectoryFacts> directories;  // by rank
  // All nodes but the root by layer, then rank of home, then name.
  std::vector<uint32_t> nodes;
  // By home_rank, then layer.
  std::vector<HomeRun> runs;
  // By node: the hidden node whose place in its directory this one took, and
  // whose inode number it takes over; kNoNode: none. Files only, no
  // directories.
  std::vector<uint32_t> before;
  // By node: the lowest of that chain, or itself: equal numbers.
  std::vector<uint32_t> first;
  // By node: has the bytes of `before`, and so lies where that lay. All false
  // until FindUnchanged (ext4/unchanged.h) has looked.
  std::vector<bool> unchanged;
};

// Requires: a tree that CheckTree accepts.
PathOrder MakePathOrder(const Tree& tree);

bool IsDirectory(const TreeNode& node);

}  // namespace morsel
