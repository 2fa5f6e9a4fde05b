// SPDX-License-Identifier: Apache-2.0
// Where the fixed parts of the file system lie, whatever it holds.
//
// A file system is 1, 4 or 16 flex groups of 16 GiB, all laid out alike:
//
//   block 0            superblock (first flex group only)
//   block 1 to 32      descriptors, with room for those of 256 GiB
//   block 128          block bitmaps of the 128 groups: one chunk
//   block 256          inode bitmaps of the 128 groups: one chunk
//   block 384          inode tables, 512 MiB
//   block 131456       content, to the end of the flex group
//
// so that a larger size only appends flex groups. Content is addressed by
// place: the number of a content block when those of all flex groups are
// counted through. A run of places may therefore be two runs of blocks.
//
// Thread safety: constants and pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

inline constexpr uint64_t kImageChunkBytes = 512 * kKiB;
inline constexpr uint32_t kBlockBytes = 4096;
inline constexpr uint32_t kChunkBlocks = kImageChunkBytes / kBlockBytes;
inline constexpr uint32_t kInodeBytes = 256;
inline constexpr uint32_t kChunkInodes = kImageChunkBytes / kInodeBytes;
inline constexpr uint32_t kBlocksPerGroup = 32768;
inline constexpr uint32_t kInodesPerGroup = 16384;
inline constexpr uint32_t kGroupsPerFlex = 128;
inline constexpr uint32_t kFlexBlocks = kGroupsPerFlex * kBlocksPerGroup;
inline constexpr uint32_t kFlexInodes = kGroupsPerFlex * kInodesPerGroup;
inline constexpr uint32_t kTableBlocksPerGroup =
    kInodesPerGroup * kInodeBytes / kBlockBytes;
// Blocks of a flex group, counted from its first.
inline constexpr uint32_t kBlockBitmaps = kChunkBlocks;
inline constexpr uint32_t kInodeBitmaps = 2 * kChunkBlocks;
inline constexpr uint32_t kInodeTables = 3 * kChunkBlocks;
inline constexpr uint32_t kContent =
    kInodeTables + kGroupsPerFlex * kTableBlocksPerGroup;
inline constexpr uint32_t kPlacesPerFlex = kFlexBlocks - kContent;
inline constexpr uint32_t kMostFlexGroups = 16;
inline constexpr uint64_t kMostPlaces =
    uint64_t{kMostFlexGroups} * kPlacesPerFlex;
inline constexpr uint64_t kMostInodes = uint64_t{kMostFlexGroups} * kFlexInodes;
inline constexpr uint32_t kRootInode = 2;
inline constexpr uint32_t kFirstFreeInode = 11;
// The seed of directory hashes, as the superblock has it (16 bytes).
inline constexpr uint32_t kHashSeed[4] = {0x73726f6d, 0x00406c65, 0x61680080,
                                          0x01006873};

// Flex groups of the smallest size that has so many places and inodes: 1, 4
// or 16. kInvalid: not even 256 GiB has; names which and how many.
Result<uint32_t> ChooseFlexGroups(uint64_t places, uint64_t inodes);

// The block of a place.
constexpr uint64_t BlockOfPlace(uint64_t place) {
  return place / kPlacesPerFlex * kFlexBlocks + kContent +
         place % kPlacesPerFlex;
}

// Calls fn(block, first, count) for each run of blocks that `count` places
// from `place` on are; `first` counts from the first place.
template <typename Fn>
void ForEachBlockRun(uint64_t place, uint64_t count, Fn&& fn) {
  uint64_t done = 0;
  while (done < count) {
    const uint64_t at = place + done;
    const uint64_t run =
        std::min(count - done, kPlacesPerFlex - at % kPlacesPerFlex);
    fn(BlockOfPlace(at), done, run);
    done += run;
  }
}

}  // namespace morsel
