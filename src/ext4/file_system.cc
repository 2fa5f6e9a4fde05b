// SPDX-License-Identifier: Apache-2.0
#include "ext4/file_system.h"

#include <cstring>

#include "base/bytes.h"
#include "ext4/scratch_io.h"

namespace morsel {
namespace {

// Fixed for all images. The time is only ever shown by dumpe2fs; libext2fs
// takes 0 for "now".
constexpr uint32_t kBuildTime = 1;
constexpr uint8_t kUuid[16] = {0x6d, 0x6f, 0x72, 0x73, 0x65, 0x6c, 0x40, 0x00,
                               0x80, 0x00, 0x65, 0x78, 0x74, 0x34, 0x00, 0x01};
constexpr char kLabel[] = "morsel";

ext2_super_block MakeParameters(uint32_t flex_groups) {
  ext2_super_block super = {};
  super.s_rev_level = EXT2_DYNAMIC_REV;
  super.s_log_block_size = 2;
  super.s_log_cluster_size = 2;
  super.s_inode_size = kInodeBytes;
  super.s_inodes_count = flex_groups * kFlexInodes;
  super.s_log_groups_per_flex = 7;
  super.s_desc_size = 64;
  super.s_min_extra_isize = 32;
  super.s_want_extra_isize = 32;
  super.s_feature_compat = EXT2_FEATURE_COMPAT_DIR_INDEX |
                           EXT2_FEATURE_COMPAT_EXT_ATTR |
                           EXT4_FEATURE_COMPAT_SPARSE_SUPER2;
  super.s_feature_incompat =
      EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
      EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG |
      EXT4_FEATURE_INCOMPAT_INLINE_DATA | EXT4_FEATURE_INCOMPAT_EA_INODE;
  super.s_feature_ro_compat =
      EXT2_FEATURE_RO_COMPAT_LARGE_FILE | EXT4_FEATURE_RO_COMPAT_HUGE_FILE |
      EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE |
      EXT4_FEATURE_RO_COMPAT_METADATA_CSUM;
  ext2fs_blocks_count_set(&super, uint64_t{flex_groups} * kFlexBlocks);
  return super;
}

}  // namespace

Result<std::unique_ptr<FileSystem>> FileSystem::Create(Scratch& scratch,
                                                       uint32_t flex_groups) {
  std::unique_ptr<FileSystem> out(new FileSystem(scratch, flex_groups));
  RETURN_IF_ERROR(out->Initialize());
  return out;
}

FileSystem::~FileSystem() {
  if (fs_ != nullptr) ext2fs_free(fs_);
}

Status FileSystem::Check(errcode_t error, const std::string& what) const {
  if (error == 0) return Ok();
  if (!scratch_.status().ok()) return Error(scratch_.status().error());
  const std::string message = what + ": " + error_message(error);
  if (error == EXT2_ET_EA_NO_SPACE) {
    return MakeError(Code::kInvalid, message);
  }
  return MakeError(
      error == EXT2_ET_NO_MEMORY ? Code::kExhausted : Code::kInternal, message);
}

Status FileSystem::Initialize() {
  initialize_ext2_error_table();
  ext2_super_block parameters = MakeParameters(flex_groups_);
  RETURN_IF_ERROR(
      Check(ext2fs_initialize(ScratchIoName(scratch_).c_str(), EXT2_FLAG_64BITS,
                              &parameters, ScratchIoManager(), &fs_),
            "lay out the file system"));
  fs_->now = kBuildTime;
  fs_->priv_data = this;
  ext2fs_set_alloc_block_callback(fs_, TakeBlock, nullptr);
  fs_->get_alloc_block2 = TakeBlock2;
  FillSuperblock();
  return PlaceTables();
}

void FileSystem::FillSuperblock() {
  ext2_super_block& super = *fs_->super;
  std::memcpy(super.s_uuid, kUuid, sizeof(kUuid));
  std::memcpy(super.s_hash_seed, kHashSeed, sizeof(kHashSeed));
  std::memcpy(super.s_volume_name, kLabel, sizeof(kLabel));
  super.s_checksum_type = EXT2_CRC32C_CHKSUM;
  super.s_def_hash_version = EXT2_HASH_HALF_MD4;
  super.s_flags = EXT2_FLAGS_UNSIGNED_HASH;
  super.s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
  super.s_mkfs_time = kBuildTime;
  super.s_mkfs_time_hi = 0;
  super.s_lastcheck = kBuildTime;
  super.s_lastcheck_hi = 0;
  super.s_max_mnt_count = -1;
  super.s_checkinterval = 0;
  super.s_backup_bgs[0] = 0;
  super.s_backup_bgs[1] = 0;
  ext2fs_init_csum_seed(fs_);
}

Status FileSystem::PlaceTables() {
  for (uint32_t flex = 0; flex < flex_groups_; ++flex) {
    const uint64_t base = uint64_t{flex} * kFlexBlocks;
    for (uint32_t index = 0; index < kGroupsPerFlex; ++index) {
      const dgrp_t group = flex * kGroupsPerFlex + index;
      ext2fs_block_bitmap_loc_set(fs_, group, base + kBlockBitmaps + index);
      ext2fs_inode_bitmap_loc_set(fs_, group, base + kInodeBitmaps + index);
      ext2fs_inode_table_loc_set(
          fs_, group,
          base + kInodeTables + uint64_t{index} * kTableBlocksPerGroup);
      ext2fs_bg_flags_set(fs_, group, EXT2_BG_INODE_ZEROED);
    }
    ext2fs_block_alloc_stats_range(fs_, base + kBlockBitmaps,
                                   kContent - kBlockBitmaps, +1);
  }
  for (uint32_t inode = 1; inode < kFirstFreeInode; ++inode) {
    ext2fs_inode_alloc_stats2(fs_, inode, +1, inode == kRootInode);
  }
  return Ok();
}

errcode_t FileSystem::TakeBlock(ext2_filsys fs, blk64_t, blk64_t* block) {
  auto* self = static_cast<FileSystem*>(fs->priv_data);
  uint64_t place = self->reserved_;
  self->reserved_ = 0;
  if (place == 0) place = self->spare_++;
  if (place >= uint64_t{self->flex_groups_} * kPlacesPerFlex) {
    return EXT2_ET_BLOCK_ALLOC_FAIL;
  }
  *block = BlockOfPlace(place);
  return 0;
}

errcode_t FileSystem::TakeBlock2(ext2_filsys fs, blk64_t goal, blk64_t* block,
                                 blk_alloc_ctx*) {
  return TakeBlock(fs, goal, block);
}

void FileSystem::UsePlaces(uint64_t place, uint64_t count) {
  ForEachBlockRun(place, count, [this](uint64_t block, uint64_t, uint64_t run) {
    ext2fs_block_alloc_stats_range(fs_, block, static_cast<blk_t>(run), +1);
  });
}

void FileSystem::UseInode(uint32_t inode, bool directory) {
  if (inode >= kFirstFreeInode) {
    ext2fs_inode_alloc_stats2(fs_, inode, +1, directory);
  }
}

Status FileSystem::Finish() {
  RETURN_IF_ERROR(
      Check(ext2fs_set_gdt_csum(fs_), "sum up the group descriptors"));
  return Check(ext2fs_flush(fs_), "write the group descriptors");
}

}  // namespace morsel
