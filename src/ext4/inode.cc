// SPDX-License-Identifier: Apache-2.0
#include "ext4/inode.h"

#include <sys/stat.h>

#include <algorithm>

namespace morsel {
namespace {

constexpr uint16_t kExtraBytes = 32;
constexpr uint32_t kMostDirectoryLinks = 65000;
constexpr uint32_t kBodyMagic = 0xea020000;
constexpr uint8_t kSystemIndex = 7;  // the prefix "system."
constexpr size_t kFirstEntry = 4;    // behind the magic

// Two bits of epoch above the 32 of the seconds, then nanoseconds.
uint32_t ExtraTime(const TreeNode& node) {
  const int64_t low = static_cast<int32_t>(node.mtime_seconds);
  const auto epoch =
      static_cast<uint32_t>((node.mtime_seconds - low) >> 32) & 3u;
  return node.mtime_nanoseconds << 2 | epoch;
}

void SetDevice(ext2_inode_large& fields, uint32_t major, uint32_t minor) {
  if (major < 256 && minor < 256) {
    fields.i_block[0] = major << 8 | minor;
  } else {
    fields.i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
  }
}

void SetSize(ext2_inode_large& fields, uint64_t size_bytes) {
  fields.i_size = static_cast<uint32_t>(size_bytes);
  fields.i_size_high = static_cast<uint32_t>(size_bytes >> 32);
}

}  // namespace

RawInode MakeInode(const TreeNode& node) {
  RawInode inode;
  ext2_inode_large& fields = inode.fields;
  fields.i_mode = static_cast<uint16_t>(node.mode);
  fields.i_uid = static_cast<uint16_t>(node.uid);
  fields.osd2.linux2.l_i_uid_high = static_cast<uint16_t>(node.uid >> 16);
  fields.i_gid = static_cast<uint16_t>(node.gid);
  fields.osd2.linux2.l_i_gid_high = static_cast<uint16_t>(node.gid >> 16);
  const auto seconds = static_cast<uint32_t>(node.mtime_seconds);
  const uint32_t extra = ExtraTime(node);
  fields.i_mtime = fields.i_atime = fields.i_ctime = fields.i_crtime = seconds;
  fields.i_mtime_extra = fields.i_atime_extra = extra;
  fields.i_ctime_extra = fields.i_crtime_extra = extra;
  fields.i_extra_isize = kExtraBytes;
  if (S_ISCHR(node.mode) || S_ISBLK(node.mode)) {
    SetDevice(fields, node.device_major, node.device_minor);
  }
  return inode;
}

void SetLinks(RawInode& inode, uint32_t links) {
  inode.fields.i_links_count =
      static_cast<uint16_t>(links > kMostDirectoryLinks ? 1 : links);
}

void SetExtents(RawInode& inode, const std::array<std::byte, 60>& root,
                uint64_t size_bytes, uint64_t blocks) {
  ext2_inode_large& fields = inode.fields;
  fields.i_flags |= EXT4_EXTENTS_FL;
  std::memcpy(fields.i_block, root.data(), root.size());
  SetSize(fields, size_bytes);
  const uint64_t sectors = blocks * (kBlockBytes / 512);
  fields.i_blocks = static_cast<uint32_t>(sectors);
  fields.osd2.linux2.l_i_blocks_hi = static_cast<uint16_t>(sectors >> 32);
}

void SetFastSymlink(RawInode& inode, std::string_view target) {
  std::memcpy(inode.fields.i_block, target.data(), target.size());
  SetSize(inode.fields, target.size());
}

void SetInlineDirectory(RawInode& inode, const InlineDirectory& directory) {
  const Bytes& value = directory.attribute;
  inode.fields.i_flags |= EXT4_INLINE_DATA_FL;
  std::memcpy(inode.fields.i_block, directory.block.data(),
              directory.block.size());
  SetSize(inode.fields, directory.block.size() + value.size());
  std::byte* body = inode.body.data();
  const size_t at = inode.body.size() - value.size();
  StoreLe<uint32_t>(body, kBodyMagic);
  std::byte* entry = body + kFirstEntry;
  entry[0] = std::byte{4};
  entry[1] = std::byte{kSystemIndex};
  if (!value.empty()) {
    StoreLe<uint16_t>(entry + 2, static_cast<uint16_t>(at - kFirstEntry));
  }
  StoreLe<uint32_t>(entry + 8, static_cast<uint32_t>(value.size()));
  std::memcpy(entry + 16, "data", 4);
  std::copy(value.begin(), value.end(), body + at);
}

}  // namespace morsel
