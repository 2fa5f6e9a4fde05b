// SPDX-License-Identifier: Apache-2.0
// Which blocks a file has, and the tree of extents in its inode that says so.
//
// Format: Documentation/filesystems/ext4/ifork.rst of Linux. Up to four
// extents lie in the inode; more take blocks of their own, 340 to each.
//
// Thread safety: pure functions; ExtentTree is a value.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "ext4/file_system.h"
#include "ext4/tree.h"

namespace morsel {

struct MappedRun {
  uint64_t block = 0;
  uint32_t logical = 0;  // first block in the file
  uint16_t count = 0;    // 1 to 32768
};

// Calls fn(logical, count) for each run of blocks of the file that its extents
// touch, ascending and disjoint; blocks between are holes.
template <typename Fn>
void ForEachLogicalRun(std::span<const TreeExtent> extents, Fn&& fn) {
  uint64_t begin = 0;
  uint64_t end = 0;
  for (const TreeExtent& extent : extents) {
    const uint64_t first = extent.file_offset / kBlockBytes;
    if (first > end) {
      if (end > begin) fn(begin, end - begin);
      begin = first;
    }
    end = (extent.file_offset + extent.length - 1) / kBlockBytes + 1;
  }
  if (end > begin) fn(begin, end - begin);
}

std::span<const TreeExtent> ExtentsOf(const Tree& tree, const TreeNode& node);

// Blocks that the data of a file takes.
uint64_t CountDataBlocks(std::span<const TreeExtent> extents);

// The runs of a file whose blocks lie one behind another from `place` on.
std::vector<MappedRun> MapRuns(std::span<const TreeExtent> extents,
                               uint64_t place);
// The same for `count` blocks without holes: directories, symlinks.
std::vector<MappedRun> MapWhole(uint64_t count, uint64_t place);

// Blocks beside the inode that the tree of so many runs takes; 0 up to 4.
uint64_t CountExtentBlocks(uint64_t runs);

// Writes the blocks of the tree of `inode` from `place` on, and gives its
// root, the inode's i_block.
Result<std::array<std::byte, 60>> WriteExtents(FileSystem& fs, uint32_t inode,
                                               std::span<const MappedRun> runs,
                                               uint64_t place, Use use);

}  // namespace morsel
