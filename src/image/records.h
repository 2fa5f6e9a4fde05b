// SPDX-License-Identifier: Apache-2.0
// What pass 1 keeps of a layer: its entries in compact tables, some 80 bytes
// each and their names. The data of files is in the spool.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ext4/tree.h"

namespace morsel {

// Entries of all layers of one image together, and bytes of their names: what
// keeps memory bounded, whatever the image.
inline constexpr uint64_t kMaxEntries = 8'000'000;
inline constexpr uint64_t kMaxNameBytesOfImage = 1024 * 1024 * 1024;

// A run of LayerRecords::text.
struct TextRange {
  uint32_t offset = 0;
  uint16_t length = 0;
};

struct EntryRecord {
  TextRange path;     // cleaned (oci/path.h)
  TextRange target;   // of symlinks and hard links
  uint32_t mode = 0;  // without a type: a hard link
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mtime_nanoseconds = 0;
  int64_t mtime_seconds = 0;
  uint64_t size_bytes = 0;
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint32_t first_extent = 0;  // into LayerRecords::extents
  uint32_t extent_count = 0;
  uint32_t xattr_set = 0;  // 1 + index into LayerRecords::xattr_sets; 0: none
};

struct LayerRecords {
  std::string id;                    // for messages
  std::vector<EntryRecord> entries;  // as the tar has them
  std::vector<TreeExtent> extents;
  std::vector<XattrSet> xattr_sets;
  std::string text;
  std::vector<std::string> warnings;

  std::string_view TextOf(const TextRange& range) const {
    return std::string_view(text).substr(range.offset, range.length);
  }
};

}  // namespace morsel
