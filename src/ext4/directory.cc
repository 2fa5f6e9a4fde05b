// SPDX-License-Identifier: Apache-2.0
#include "ext4/directory.h"

#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <tuple>

#include "ext4/geometry.h"

namespace morsel {
namespace {

constexpr size_t kHeadBytes = 8;   // inode, record length, name length, type
constexpr size_t kTailBytes = 12;  // the checksum of a leaf
constexpr size_t kDotsBytes = 24;
constexpr size_t kRootEntries = 32;  // dots, then 8 bytes of dx_root_info
constexpr size_t kNodeEntries = 8;
constexpr size_t kIndexBytes = 8;  // of an entry, and of the checksum
constexpr size_t kRootLimit =
    (kBlockBytes - kRootEntries - kIndexBytes) / kIndexBytes;
constexpr size_t kNodeLimit =
    (kBlockBytes - kNodeEntries - kIndexBytes) / kIndexBytes;
constexpr size_t kInlineHead = 4;        // the parent's number
constexpr size_t kInlineAttribute = 68;  // what the attribute can hold
constexpr uint32_t kUnsignedHash = 3;    // added to a hash's number

size_t ItemBytes(std::string_view name) {
  return RoundUp(kHeadBytes + name.size(), 4);
}

void PutItem(std::byte* at, const DirectoryItem& item, size_t record) {
  StoreLe<uint32_t>(at, item.inode);
  StoreLe<uint16_t>(at + 4, static_cast<uint16_t>(record));
  at[6] = static_cast<std::byte>(item.name.size());
  at[7] = static_cast<std::byte>(item.type);
  std::memcpy(at + kHeadBytes, item.name.data(), item.name.size());
}

// Fills a run of bytes with items; the last one's record reaches its end.
class ItemWriter {
 public:
  explicit ItemWriter(MutableByteSpan out) : out_(out) {
    StoreLe<uint16_t>(out_.data() + 4, static_cast<uint16_t>(out.size()));
  }

  bool Fits(const DirectoryItem& item) const {
    return used_ + ItemBytes(item.name) <= out_.size();
  }
  void Add(const DirectoryItem& item) {
    if (used_ > 0) {
      StoreLe<uint16_t>(out_.data() + last_ + 4,
                        static_cast<uint16_t>(used_ - last_));
    }
    PutItem(out_.data() + used_, item, out_.size() - used_);
    last_ = used_;
    used_ += ItemBytes(item.name);
  }
  size_t used() const { return used_; }

 private:
  MutableByteSpan out_;
  size_t used_ = 0;
  size_t last_ = 0;
};

size_t LinearBytes(std::span<const DirectoryItem> items) {
  size_t bytes = kDotsBytes + kTailBytes;
  for (const DirectoryItem& item : items) bytes += ItemBytes(item.name);
  return bytes;
}

struct HashedItem {
  uint32_t hash = 0;
  uint32_t minor = 0;
  uint32_t item = 0;
};

// A block of the tree and the lowest hash that it answers for. Bit 0 says
// that the block before ends with the same hash.
struct HashBlock {
  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t hash = 0;
};

struct HashTree {
  std::vector<HashedItem> order;
  std::vector<HashBlock> leaves;  // ranges of `order`
  std::vector<HashBlock> nodes;   // ranges of `leaves`; empty: one level
};

std::vector<HashedItem> HashItems(std::span<const DirectoryItem> items) {
  std::vector<HashedItem> order(items.size());
  for (uint32_t i = 0; i < items.size(); ++i) {
    const std::string_view name = items[i].name;
    ext2fs_dirhash2(EXT2_HASH_HALF_MD4 + kUnsignedHash, name.data(),
                    static_cast<int>(name.size()), nullptr, 0, kHashSeed,
                    &order[i].hash, &order[i].minor);
    order[i].hash &= ~1u;
    order[i].item = i;
  }
  std::sort(order.begin(), order.end(),
            [&items](const HashedItem& a, const HashedItem& b) {
              return std::tie(a.hash, a.minor, items[a.item].name) <
                     std::tie(b.hash, b.minor, items[b.item].name);
            });
  return order;
}

HashTree MakeHashTree(std::span<const DirectoryItem> items) {
  HashTree tree;
  tree.order = HashItems(items);
  size_t room = 0;
  for (uint32_t i = 0; i < tree.order.size(); ++i) {
    const HashedItem& item = tree.order[i];
    const size_t bytes = ItemBytes(items[item.item].name);
    if (bytes > room) {
      const bool continued = i > 0 && tree.order[i - 1].hash == item.hash;
      tree.leaves.push_back({i, i, item.hash | (continued ? 1u : 0u)});
      room = kBlockBytes - kTailBytes;
    }
    room -= bytes;
    tree.leaves.back().end = i + 1;
  }
  if (tree.leaves.size() <= kRootLimit) return tree;
  const auto leaf_count = static_cast<uint32_t>(tree.leaves.size());
  for (uint32_t i = 0; i < leaf_count; i += kNodeLimit) {
    tree.nodes.push_back({i, std::min<uint32_t>(leaf_count, i + kNodeLimit),
                          tree.leaves[i].hash});
  }
  return tree;
}

// Index entries: the first one's hash is implied, its place holds the counts.
void PutIndex(std::byte* at, size_t limit, std::span<const HashBlock> blocks,
              uint32_t first_block) {
  StoreLe<uint16_t>(at, static_cast<uint16_t>(limit));
  StoreLe<uint16_t>(at + 2, static_cast<uint16_t>(blocks.size()));
  for (size_t i = 0; i < blocks.size(); ++i) {
    std::byte* entry = at + i * kIndexBytes;
    if (i > 0) StoreLe<uint32_t>(entry, blocks[i].hash);
    StoreLe<uint32_t>(entry + 4, first_block + static_cast<uint32_t>(i));
  }
}

class DirectoryWriter {
 public:
  DirectoryWriter(FileSystem& fs, std::span<const DirectoryItem> items,
                  const DirectoryTarget& target)
      : fs_(fs), items_(items), target_(target), block_(kBlockBytes) {}

  Status WriteLinear() {
    ItemWriter writer(LeafPart());
    writer.Add(Dot());
    writer.Add(DotDot());
    for (const DirectoryItem& item : items_) writer.Add(item);
    return Flush(/*leaf=*/true);
  }

  Status WriteHashTree(const HashTree& tree) {
    const auto node_count = static_cast<uint32_t>(tree.nodes.size());
    PutItem(block_.data(), Dot(), 12);
    PutItem(block_.data() + 12, DotDot(), kBlockBytes - 12);
    block_[28] = std::byte{EXT2_HASH_HALF_MD4};
    block_[29] = std::byte{8};  // the length of dx_root_info
    block_[30] = static_cast<std::byte>(node_count > 0 ? 1 : 0);
    PutIndex(block_.data() + kRootEntries, kRootLimit,
             node_count > 0 ? tree.nodes : tree.leaves, 1);
    RETURN_IF_ERROR(Flush(/*leaf=*/false));
    for (const HashBlock& node : tree.nodes) {
      StoreLe<uint16_t>(block_.data() + 4, kBlockBytes);
      PutIndex(
          block_.data() + kNodeEntries, kNodeLimit,
          std::span(tree.leaves).subspan(node.begin, node.end - node.begin),
          1 + node_count + node.begin);
      RETURN_IF_ERROR(Flush(/*leaf=*/false));
    }
    for (const HashBlock& leaf : tree.leaves) {
      ItemWriter writer(LeafPart());
      for (uint32_t i = leaf.begin; i < leaf.end; ++i) {
        writer.Add(items_[tree.order[i].item]);
      }
      RETURN_IF_ERROR(Flush(/*leaf=*/true));
    }
    return Ok();
  }

 private:
  DirectoryItem Dot() const { return {".", target_.inode, EXT2_FT_DIR}; }
  DirectoryItem DotDot() const { return {"..", target_.parent, EXT2_FT_DIR}; }
  MutableByteSpan LeafPart() {
    return MutableByteSpan(block_).first(kBlockBytes - kTailBytes);
  }

  Status Flush(bool leaf) {
    if (leaf) {
      ext2fs_initialize_dirent_tail(
          fs_.handle(), reinterpret_cast<ext2_dir_entry_tail*>(
                            block_.data() + kBlockBytes - kTailBytes));
    }
    RETURN_IF_ERROR(
        fs_.Check(ext2fs_dir_block_csum_set(
                      fs_.handle(), target_.inode,
                      reinterpret_cast<ext2_dir_entry*>(block_.data())),
                  "sum up a directory block"));
    const uint64_t block = BlockOfPlace(target_.place + written_++);
    RETURN_IF_ERROR(
        fs_.scratch().Write(block * kBlockBytes, block_, target_.use));
    std::fill(block_.begin(), block_.end(), std::byte{0});
    return Ok();
  }

  FileSystem& fs_;
  std::span<const DirectoryItem> items_;
  const DirectoryTarget& target_;
  Bytes block_;
  uint32_t written_ = 0;
};

}  // namespace

uint8_t DirectoryItemType(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return EXT2_FT_DIR;
    case S_IFLNK:
      return EXT2_FT_SYMLINK;
    case S_IFCHR:
      return EXT2_FT_CHRDEV;
    case S_IFBLK:
      return EXT2_FT_BLKDEV;
    case S_IFIFO:
      return EXT2_FT_FIFO;
    case S_IFSOCK:
      return EXT2_FT_SOCK;
    default:
      return EXT2_FT_REG_FILE;
  }
}

bool EncodeInlineDirectory(std::span<const DirectoryItem> items,
                           uint32_t parent, InlineDirectory* out) {
  *out = {};
  Bytes attribute(kInlineAttribute);
  size_t attribute_bytes = 0;
  ItemWriter head(MutableByteSpan(out->block).subspan(kInlineHead));
  {
    ItemWriter sizer(attribute);
    for (const DirectoryItem& item : items) {
      if (head.Fits(item)) {
        head.Add(item);
      } else if (sizer.Fits(item)) {
        sizer.Add(item);
      } else {
        return false;
      }
    }
    attribute_bytes = sizer.used();
  }
  StoreLe<uint32_t>(out->block.data(), parent);
  if (attribute_bytes == 0) return true;
  // The last record ends where the attribute does.
  size_t last = 0;
  while (last + LoadLe<uint16_t>(&attribute[last + 4]) < kInlineAttribute) {
    last += LoadLe<uint16_t>(&attribute[last + 4]);
  }
  StoreLe<uint16_t>(&attribute[last + 4],
                    static_cast<uint16_t>(attribute_bytes - last));
  attribute.resize(attribute_bytes);
  out->attribute = std::move(attribute);
  return true;
}

Result<uint32_t> CountDirectoryBlocks(std::span<const DirectoryItem> items) {
  if (LinearBytes(items) <= kBlockBytes) return 1u;
  const HashTree tree = MakeHashTree(items);
  if (tree.nodes.size() > kRootLimit) {
    return MakeError(Code::kInvalid, "a directory of " +
                                         std::to_string(items.size()) +
                                         " names: too many for its index");
  }
  return static_cast<uint32_t>(1 + tree.nodes.size() + tree.leaves.size());
}

Status WriteDirectory(FileSystem& fs, std::span<const DirectoryItem> items,
                      const DirectoryTarget& target) {
  DirectoryWriter writer(fs, items, target);
  if (LinearBytes(items) <= kBlockBytes) return writer.WriteLinear();
  return writer.WriteHashTree(MakeHashTree(items));
}

}  // namespace morsel
