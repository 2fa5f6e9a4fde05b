// SPDX-License-Identifier: Apache-2.0
#include "ext4/image.h"

#include <utility>

#include "ext4/check_tree.h"
#include "ext4/data_map.h"
#include "ext4/file_system.h"
#include "ext4/geometry.h"
#include "ext4/order.h"
#include "ext4/placement.h"
#include "ext4/scratch.h"
#include "ext4/unchanged.h"
#include "ext4/writer.h"

namespace morsel {
namespace {

class BuiltImage final : public Ext4Image {
 public:
  BuiltImage(std::unique_ptr<Scratch> scratch, DataMap data,
             std::vector<uint32_t> chunks, uint64_t size_bytes)
      : scratch_(std::move(scratch)),
        data_(std::move(data)),
        chunks_(std::move(chunks)),
        size_bytes_(size_bytes) {}

  uint64_t size_bytes() const override { return size_bytes_; }
  const std::vector<uint32_t>& chunks() const override { return chunks_; }

  Status ReadChunk(uint32_t index, DataSource& source,
                   MutableByteSpan out) const override {
    CHECK(out.size() == kImageChunkBytes);
    const uint64_t offset = index * kImageChunkBytes;
    RETURN_IF_ERROR(scratch_->Read(offset, out));
    return data_.ReadInto(offset, source, out);
  }

 private:
  const std::unique_ptr<Scratch> scratch_;
  const DataMap data_;
  const std::vector<uint32_t> chunks_;
  const uint64_t size_bytes_;
};

std::vector<uint32_t> ListLive(const std::vector<bool>& live) {
  std::vector<uint32_t> chunks;
  for (uint32_t i = 0; i < live.size(); ++i) {
    if (live[i]) chunks.push_back(i);
  }
  return chunks;
}

}  // namespace

Result<std::unique_ptr<Ext4Image>> Ext4Image::Build(
    const Tree& tree, DataSource& source, const std::string& scratch_dir) {
  RETURN_IF_ERROR(CheckTree(tree));
  PathOrder order = MakePathOrder(tree);
  RETURN_IF_ERROR(FindUnchanged(tree, source, order));
  ASSIGN_OR_RETURN(const Placement placement, MakePlacement(tree, order));
  const SpareNeed spare = CountSpare(tree);
  ASSIGN_OR_RETURN(const uint32_t flex_groups,
                   ChooseFlexGroups(placement.place_end + spare.blocks,
                                    placement.inode_end - 1 + spare.inodes));
  ASSIGN_OR_RETURN(auto scratch, Scratch::Create(scratch_dir));
  {
    ASSIGN_OR_RETURN(const auto fs, FileSystem::Create(*scratch, flex_groups));
    fs->SetSpare(placement.place_end);
    RETURN_IF_ERROR(WriteTree(tree, order, placement, *fs));
    RETURN_IF_ERROR(fs->Finish());
  }
  const uint64_t size_bytes = uint64_t{flex_groups} * kFlexBlocks * kBlockBytes;
  std::vector<bool> live(size_bytes / kImageChunkBytes, false);
  for (const auto& [index, pages] : scratch->chunks()) {
    if (pages.live) live[index] = true;
  }
  DataMap data(tree, order, placement, live);
  return std::unique_ptr<Ext4Image>(new BuiltImage(
      std::move(scratch), std::move(data), ListLive(live), size_bytes));
}

}  // namespace morsel
