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

struct DirectoryFacts {
  uint32_t node = 0;
  // Rank of the ancestor at depth 4, or of itself above that: small files of
  // one layer with one pack root are stored together.
  uint32_t pack_root = 0;
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
};

// Requires: a tree that CheckTree accepts.
PathOrder MakePathOrder(const Tree& tree);

bool IsDirectory(const TreeNode& node);

}  // namespace morsel
