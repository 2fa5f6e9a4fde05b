// SPDX-License-Identifier: Apache-2.0
// The merged file tree of an image: what the ext4 builder is given.
//
// Compact tables, some 100 bytes a node. A node is one inode; an entry is one
// name in one directory. A node whose last name an upper layer removed stays
// as a hidden node: it keeps its place (inode number and data), so that a base
// lies alike in every image that is built on it, but is written as zeros.
//
// Thread safety: immutable once built.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

// A run of a regular file's bytes; what no extent covers is a hole.
struct TreeExtent {
  uint64_t file_offset = 0;
  uint64_t source_offset = 0;  // where the DataSource has it
  uint64_t length = 0;         // bytes
};

// A name in Tree::names.
struct TreeName {
  uint32_t offset = 0;
  uint16_t length = 0;  // 1 to 255; 0 for the root
};

struct TreeNode {
  uint32_t mode = 0;  // type and permissions, as st_mode
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t mtime_nanoseconds = 0;
  int64_t mtime_seconds = 0;  // 1901 to 2446 (ext4's own range)
  uint64_t size_bytes = 0;    // regular files; symlinks: of the target
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  uint32_t first_extent = 0;  // regular files: into Tree::extents
  uint32_t extent_count = 0;
  uint32_t symlink = 0;    // symlinks: into Tree::symlinks
  uint32_t xattr_set = 0;  // 1 + index into Tree::xattr_sets; 0: none
  // Where the layer that made it put it: placement follows from this alone.
  uint32_t home = 0;  // node of the directory; the root's is itself
  TreeName home_name;
  uint16_t layer = 0;  // the layer that made it, from 0, the lowest
  // Directories: the highest layer that changed its metadata or its entries.
  uint16_t changed_layer = 0;
  bool hidden = false;  // has no entry
  // Hidden nodes: the layer that took the last name away. 0: not known, which
  // costs only sharing of directory blocks.
  uint16_t hidden_layer = 0;
};

// One visible name. Hard links are several entries of one node.
struct TreeEntry {
  uint32_t directory = 0;
  uint32_t node = 0;
  TreeName name;
};

// Extended attributes as the kernel names them ("security.capability",
// "system.posix_acl_access" in the kernel's binary form), sorted by name.
using XattrSet = std::vector<std::pair<std::string, std::string>>;

struct Tree {
  std::vector<TreeNode> nodes;      // 0 is the root directory
  std::vector<TreeEntry> entries;   // sorted by directory, then name bytes
  std::vector<TreeExtent> extents;  // of each node in order of file_offset
  std::vector<std::string> symlinks;
  std::vector<XattrSet> xattr_sets;
  std::string names;
  uint32_t layer_count = 0;

  std::string_view NameOf(const TreeName& name) const {
    return std::string_view(names).substr(name.offset, name.length);
  }
};

// The bytes that extents point at. Thread safety: thread-safe.
class DataSource {
 public:
  virtual ~DataSource() = default;
  // Exactly out.size() bytes at `source_offset`. kIo, kCorrupt.
  virtual Status Read(uint64_t source_offset, MutableByteSpan out) = 0;
};

}  // namespace morsel
