// SPDX-License-Identifier: Apache-2.0
#include "ext4/extent_map.h"

#include <algorithm>

namespace morsel {
namespace {

constexpr uint16_t kMagic = 0xf30a;
constexpr size_t kEntryBytes = 12;  // of a header, a leaf and an index entry
constexpr uint64_t kRootEntries = 4;
constexpr uint64_t kBlockEntries = 340;
constexpr uint64_t kLongestRun = 32768;

// One entry of a level: at level 0 a run, above it a block of the level below.
struct Entry {
  uint64_t block = 0;
  uint32_t logical = 0;
  uint16_t count = 0;
};

void PutHeader(std::byte* at, size_t entries, uint64_t limit, uint16_t depth) {
  StoreLe<uint16_t>(at, kMagic);
  StoreLe<uint16_t>(at + 2, static_cast<uint16_t>(entries));
  StoreLe<uint16_t>(at + 4, static_cast<uint16_t>(limit));
  StoreLe<uint16_t>(at + 6, depth);
}

void PutEntry(std::byte* at, const Entry& entry, bool leaf) {
  const auto low = static_cast<uint32_t>(entry.block);
  const auto high = static_cast<uint16_t>(entry.block >> 32);
  StoreLe<uint32_t>(at, entry.logical);
  if (leaf) {
    StoreLe<uint16_t>(at + 4, entry.count);
    StoreLe<uint16_t>(at + 6, high);
    StoreLe<uint32_t>(at + 8, low);
  } else {
    StoreLe<uint32_t>(at + 4, low);
    StoreLe<uint16_t>(at + 8, high);
  }
}

void PutNode(std::byte* at, std::span<const Entry> entries, uint64_t limit,
             uint16_t depth) {
  PutHeader(at, entries.size(), limit, depth);
  for (size_t i = 0; i < entries.size(); ++i) {
    PutEntry(at + (i + 1) * kEntryBytes, entries[i], depth == 0);
  }
}

void AppendRuns(uint64_t logical, uint64_t count, uint64_t place,
                std::vector<MappedRun>& out) {
  ForEachBlockRun(
      place, count, [&](uint64_t block, uint64_t first, uint64_t run) {
        for (uint64_t done = 0; done < run; done += kLongestRun) {
          out.push_back(
              {.block = block + done,
               .logical = static_cast<uint32_t>(logical + first + done),
               .count =
                   static_cast<uint16_t>(std::min(run - done, kLongestRun))});
        }
      });
}

}  // namespace

std::span<const TreeExtent> ExtentsOf(const Tree& tree, const TreeNode& node) {
  return std::span(tree.extents).subspan(node.first_extent, node.extent_count);
}

uint64_t CountDataBlocks(std::span<const TreeExtent> extents) {
  uint64_t count = 0;
  ForEachLogicalRun(extents, [&](uint64_t, uint64_t run) { count += run; });
  return count;
}

std::vector<MappedRun> MapRuns(std::span<const TreeExtent> extents,
                               uint64_t place) {
  std::vector<MappedRun> runs;
  ForEachLogicalRun(extents, [&](uint64_t logical, uint64_t count) {
    AppendRuns(logical, count, place, runs);
    place += count;
  });
  return runs;
}

std::vector<MappedRun> MapWhole(uint64_t count, uint64_t place) {
  std::vector<MappedRun> runs;
  AppendRuns(0, count, place, runs);
  return runs;
}

uint64_t CountExtentBlocks(uint64_t runs) {
  uint64_t blocks = 0;
  while (runs > kRootEntries) {
    runs = (runs + kBlockEntries - 1) / kBlockEntries;
    blocks += runs;
  }
  return blocks;
}

Result<std::array<std::byte, 60>> WriteExtents(FileSystem& fs, uint32_t inode,
                                               std::span<const MappedRun> runs,
                                               uint64_t place, Use use) {
  std::vector<Entry> level;
  level.reserve(runs.size());
  for (const MappedRun& run : runs) {
    level.push_back({run.block, run.logical, run.count});
  }
  uint16_t depth = 0;
  while (level.size() > kRootEntries) {
    std::vector<Entry> above;
    for (size_t i = 0; i < level.size(); i += kBlockEntries) {
      Bytes bytes(kBlockBytes);
      PutNode(bytes.data(),
              std::span(level).subspan(
                  i, std::min<size_t>(kBlockEntries, level.size() - i)),
              kBlockEntries, depth);
      auto* header = reinterpret_cast<ext3_extent_header*>(bytes.data());
      RETURN_IF_ERROR(
          fs.Check(ext2fs_extent_block_csum_set(fs.handle(), inode, header),
                   "sum up an extent block"));
      above.push_back({BlockOfPlace(place++), level[i].logical, 0});
      RETURN_IF_ERROR(
          fs.scratch().Write(above.back().block * kBlockBytes, bytes, use));
    }
    level = std::move(above);
    ++depth;
  }
  std::array<std::byte, 60> root = {};
  PutNode(root.data(), level, kRootEntries, depth);
  return root;
}

}  // namespace morsel
