// SPDX-License-Identifier: Apache-2.0
// The bytes of a directory: inside its inode, in one block, or a hash tree.
//
// Written by ourselves, since libext2fs's own index insertion is quadratic
// and leaves uninitialised heap in the slack of blocks. Format:
// Documentation/filesystems/ext4/directory.rst of Linux. Leaves of a hash
// tree are filled in order of the half-MD4 hash; block 0 is the root, then
// come the inner nodes if one root does not reach, then the leaves.
//
// Thread safety: pure functions; WriteDirectory is called by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "ext4/file_system.h"
#include "ext4/scratch.h"

namespace morsel {

struct DirectoryItem {
  std::string_view name;
  uint32_t inode = 0;
  uint8_t type = 0;  // EXT2_FT_*
};

// The EXT2_FT_* of a mode.
uint8_t DirectoryItemType(uint32_t mode);

// A directory inside its inode: i_block, and the value of the attribute
// "system.data" behind it.
struct InlineDirectory {
  std::array<std::byte, 60> block = {};
  Bytes attribute;
};

// False if `items` do not fit. Items without inode numbers will do to ask.
bool EncodeInlineDirectory(std::span<const DirectoryItem> items,
                           uint32_t parent, InlineDirectory* out);

// Blocks that `items` (in any order) take, when they are not inside the
// inode: at least 1. kInvalid: more than a hash tree of two levels can hold.
Result<uint32_t> CountDirectoryBlocks(std::span<const DirectoryItem> items);

struct DirectoryTarget {
  uint32_t inode = 0;
  uint32_t parent = 0;
  uint64_t place = 0;  // of the first block; the others follow
  Use use = Use::kLive;
};

// Writes as many blocks as CountDirectoryBlocks says. `items` are sorted by
// name. Errors: those of FileSystem::Check and Scratch::Write.
Status WriteDirectory(FileSystem& fs, std::span<const DirectoryItem> items,
                      const DirectoryTarget& target);

}  // namespace morsel
