// SPDX-License-Identifier: Apache-2.0
// For tests: makes trees layer by layer, and looks at what was built.
//
// Thread safety: MemorySource is thread-safe; the rest is used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ext4/image.h"
#include "ext4/test_reader.h"
#include "ext4/tree.h"

namespace morsel {

class MemorySource final : public DataSource {
 public:
  Status Read(uint64_t source_offset, MutableByteSpan out) override;
  std::string bytes;
};

// Paths are "usr/bin/env"; missing directories are made. What a layer adds
// replaces what lower layers had there.
class TreeBuilder {
 public:
  TreeBuilder();

  void NextLayer() { ++layer_; }
  TreeNode& File(const std::string& path, const std::string& content);
  // Pieces at offsets of a file of `size` bytes.
  TreeNode& SparseFile(const std::string& path, uint64_t size,
                       const std::map<uint64_t, std::string>& pieces);
  TreeNode& Directory(const std::string& path);
  TreeNode& Symlink(const std::string& path, const std::string& target);
  // A device, fifo or socket.
  TreeNode& Special(const std::string& path, uint32_t mode, uint32_t major,
                    uint32_t minor);
  void HardLink(const std::string& path, const std::string& to);
  void Remove(const std::string& path);
  void SetXattrs(const std::string& path, XattrSet set);
  bool Has(const std::string& path) const { return names_.contains(path); }

  // Nodes are numbered anew by `seed`; 0 leaves them as they were made.
  Tree Build(uint64_t seed = 0) const;
  MemorySource& source() { return source_; }
  const std::string& ContentOf(const std::string& path) const {
    return contents_[names_.at(path)];
  }
  // Path to content of every visible regular file.
  std::map<std::string, std::string> Contents() const;
  std::vector<std::string> Paths() const;
  // What a reader must find.
  std::map<std::string, FoundFile> Expected() const;

 private:
  uint32_t Parent(const std::string& path);
  uint32_t Add(const std::string& path, uint32_t mode);
  void Touch(const std::string& path);

  Tree tree_;
  std::map<std::string, uint32_t> names_;  // visible
  std::vector<std::string> contents_;      // by node
  uint16_t layer_ = 0;
  MemorySource source_;
};

// A folder that goes with everything in it.
class TestFolder {
 public:
  TestFolder();
  ~TestFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Builds, failing the test on an error.
std::unique_ptr<Ext4Image> BuildImage(const Tree& tree, DataSource& source);
// By index.
std::map<uint32_t, std::string> ReadChunks(const Ext4Image& image,
                                           DataSource& source);
// Writes the image as a sparse file.
void SaveImage(const Ext4Image& image, DataSource& source,
               const std::string& path);
// Expects `e2fsck -fn` to be clean, where there is an e2fsck.
void ExpectClean(const std::string& image_path);
void ExpectClean(const Ext4Image& image, DataSource& source);

}  // namespace morsel
