// SPDX-License-Identifier: Apache-2.0
// An empty ext4 of fixed geometry, and the books of its blocks and inodes.
//
// Wraps libext2fs: features, descriptors, bitmaps, counters, checksums. What
// is put in is decided and written by others (placement.h, writer.h).
//
// Thread safety: used by one thread.
#pragma once

#include <ext2fs/ext2fs.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "ext4/scratch.h"

namespace morsel {

class FileSystem {
 public:
  // `scratch` must outlive it. Errors: those of Check.
  static Result<std::unique_ptr<FileSystem>> Create(Scratch& scratch,
                                                    uint32_t flex_groups);
  ~FileSystem();
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;

  ext2_filsys handle() { return fs_; }
  Scratch& scratch() { return scratch_; }

  // What a call of libext2fs returned as a Status: the scratch file's own
  // failure if it had one (kExhausted, kIo), kInvalid where extended
  // attributes do not fit an inode, else kInternal. `what` names the call.
  Status Check(errcode_t error, const std::string& what) const;

  // Marks places and an inode as used.
  void UsePlaces(uint64_t place, uint64_t count);
  void UseInode(uint32_t inode, bool directory);

  // Where libext2fs takes blocks that it asks for by itself: places from
  // `place` on; `reserved` (0: none) is given out first, once.
  void SetSpare(uint64_t place) { spare_ = place; }
  void SetReserved(uint64_t place) { reserved_ = place; }

  // Writes superblock, descriptors and bitmaps.
  Status Finish();

 private:
  FileSystem(Scratch& scratch, uint32_t flex_groups)
      : scratch_(scratch), flex_groups_(flex_groups) {}
  Status Initialize();
  void FillSuperblock();
  Status PlaceTables();
  static errcode_t TakeBlock(ext2_filsys fs, blk64_t goal, blk64_t* block);
  static errcode_t TakeBlock2(ext2_filsys fs, blk64_t goal, blk64_t* block,
                              blk_alloc_ctx* context);

  Scratch& scratch_;
  const uint32_t flex_groups_;
  ext2_filsys fs_ = nullptr;
  uint64_t spare_ = 0;
  uint64_t reserved_ = 0;
};

}  // namespace morsel
