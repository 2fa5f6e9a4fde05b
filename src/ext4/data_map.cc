// SPDX-License-Identifier: Apache-2.0
#include "ext4/data_map.h"

#include <sys/stat.h>

#include <algorithm>

#include "ext4/extent_map.h"
#include "ext4/geometry.h"

namespace morsel {

DataMap::DataMap(const Tree& tree, const PathOrder& order,
                 const Placement& placement, std::vector<bool>& live) {
  runs_.reserve(tree.extents.size());
  // Of files that lie in one place the highest stands for all.
  std::vector<bool> stands(tree.nodes.size(), true);
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    if (order.unchanged[i]) stands[order.before[i]] = false;
  }
  for (const bool hidden : {false, true}) {
    const size_t first = runs_.size();
    for (size_t i = 0; i < tree.nodes.size(); ++i) {
      const TreeNode& node = tree.nodes[i];
      if (!S_ISREG(node.mode) || node.hidden != hidden || !stands[i]) continue;
      AddFile(tree, node, placement.place[i]);
    }
    if (!hidden) MarkLive(first, live);
  }
  std::erase_if(runs_, [&live](const Run& run) {
    const uint64_t last = run.image_offset + run.length - 1;
    for (uint64_t chunk = run.image_offset / kImageChunkBytes;
         chunk <= last / kImageChunkBytes; ++chunk) {
      if (live[chunk]) return false;
    }
    return true;
  });
  std::sort(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) {
    return a.image_offset < b.image_offset;
  });
}

void DataMap::MarkLive(size_t first_run, std::vector<bool>& live) const {
  for (size_t i = first_run; i < runs_.size(); ++i) {
    const Run& run = runs_[i];
    const uint64_t last = run.image_offset + run.length - 1;
    for (uint64_t chunk = run.image_offset / kImageChunkBytes;
         chunk <= last / kImageChunkBytes; ++chunk) {
      live[chunk] = true;
    }
  }
}

void DataMap::AddFile(const Tree& tree, const TreeNode& node, uint64_t place) {
  uint64_t covered = 0;  // logical blocks before this one have their places
  for (const TreeExtent& extent : ExtentsOf(tree, node)) {
    const uint64_t first = extent.file_offset / kBlockBytes;
    const uint64_t end =
        (extent.file_offset + extent.length - 1) / kBlockBytes + 1;
    // Two extents may meet inside one block.
    const uint64_t shared = first < covered ? covered - first : 0;
    AddRun(place - shared, extent.file_offset % kBlockBytes, extent);
    place += end - first - shared;
    covered = end;
  }
}

// Data that begins `offset` bytes into the block of `place`.
void DataMap::AddRun(uint64_t place, uint64_t offset,
                     const TreeExtent& extent) {
  const uint64_t end = offset + extent.length;
  ForEachBlockRun(
      place, (end + kBlockBytes - 1) / kBlockBytes,
      [&](uint64_t block, uint64_t first, uint64_t count) {
        const uint64_t from = std::max(offset, first * kBlockBytes);
        const uint64_t to = std::min(end, (first + count) * kBlockBytes);
        runs_.push_back(
            {.image_offset = block * kBlockBytes + from - first * kBlockBytes,
             .source_offset = extent.source_offset + from - offset,
             .length = to - from});
      });
}

Status DataMap::ReadInto(uint64_t offset, DataSource& source,
                         MutableByteSpan out) const {
  const uint64_t end = offset + out.size();
  auto run = std::partition_point(
      runs_.begin(), runs_.end(),
      [offset](const Run& r) { return r.image_offset + r.length <= offset; });
  for (; run != runs_.end() && run->image_offset < end; ++run) {
    const uint64_t from = std::max(offset, run->image_offset);
    const uint64_t to = std::min(end, run->image_offset + run->length);
    RETURN_IF_ERROR(source.Read(run->source_offset + from - run->image_offset,
                                out.subspan(from - offset, to - from)));
  }
  return Ok();
}

}  // namespace morsel
