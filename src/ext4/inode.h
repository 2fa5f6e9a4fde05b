// SPDX-License-Identifier: Apache-2.0
// One inode, as it lies in the table.
//
// Thread safety: pure functions and a value.
#pragma once

#include <ext2fs/ext2fs.h>

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "ext4/directory.h"
#include "ext4/geometry.h"
#include "ext4/tree.h"

namespace morsel {

struct RawInode {
  ext2_inode_large fields = {};
  // The rest: extended attributes inside the inode.
  std::array<std::byte, kInodeBytes - sizeof(ext2_inode_large)> body = {};
};
static_assert(sizeof(RawInode) == kInodeBytes);

// Mode, owner, times (all four are mtime), device number.
RawInode MakeInode(const TreeNode& node);

// More than 65000 links of a directory are written as 1 (dir_nlink).
void SetLinks(RawInode& inode, uint32_t links);

// Data and extent tree: `blocks` of 4 KiB in all.
void SetExtents(RawInode& inode, const std::array<std::byte, 60>& root,
                uint64_t size_bytes, uint64_t blocks);

// A target of up to 59 bytes.
void SetFastSymlink(RawInode& inode, std::string_view target);

// A directory inside the inode. Requires: no other extended attributes.
void SetInlineDirectory(RawInode& inode, const InlineDirectory& directory);

}  // namespace morsel
