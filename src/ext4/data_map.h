// SPDX-License-Identifier: Apache-2.0
// Where in the image the data of files lies, and where the source has it.
//
// Thread safety: immutable once made; ReadInto is thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "ext4/placement.h"
#include "ext4/tree.h"

namespace morsel {

class DataMap {
 public:
  // Data of hidden files is a relic: it is kept where it shares a chunk with
  // something that is `live`, so that the chunk stays as other images have it,
  // and left out elsewhere. `live` is by index of the chunk; chunks of visible
  // data are added to it.
  DataMap(const Tree& tree, const PathOrder& order, const Placement& placement,
          std::vector<bool>& live);

  // Puts what data there is into the bytes of the image from `offset` on.
  // Errors: those of DataSource::Read.
  Status ReadInto(uint64_t offset, DataSource& source,
                  MutableByteSpan out) const;

 private:
  struct Run {
    uint64_t image_offset = 0;
    uint64_t source_offset = 0;
    uint64_t length = 0;
  };
  void AddFile(const Tree& tree, const TreeNode& node, uint64_t place);
  void AddRun(uint64_t place, uint64_t offset, const TreeExtent& extent);
  void MarkLive(size_t first_run, std::vector<bool>& live) const;

  std::vector<Run> runs_;  // by image_offset
};

}  // namespace morsel
