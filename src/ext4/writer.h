// SPDX-License-Identifier: Apache-2.0
// Writes a placed tree into the file system: directories, inodes, extended
// attributes, and the books of what they use.
//
// Thread safety: used by one thread.
#pragma once

#include "base/result.h"
#include "ext4/file_system.h"
#include "ext4/placement.h"
#include "ext4/tree.h"

namespace morsel {

// What libext2fs takes by itself for values of extended attributes that need
// an inode of their own.
struct SpareNeed {
  uint64_t inodes = 0;
  uint64_t blocks = 0;
};
SpareNeed CountSpare(const Tree& tree);

// kInvalid: extended attributes of a file do not fit; else as
// FileSystem::Check.
Status WriteTree(const Tree& tree, const PathOrder& order,
                 const Placement& placement, FileSystem& fs);

}  // namespace morsel
