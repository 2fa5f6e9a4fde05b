// SPDX-License-Identifier: Apache-2.0
#include "ext4/check_tree.h"

#include <sys/stat.h>

#include <vector>

#include "ext4/order.h"

namespace morsel {
namespace {

constexpr uint64_t kLargestFile = 16 * 1024 * kGiB - 4096;
constexpr size_t kLongestName = 255;
constexpr size_t kLongestSymlink = 4095;
constexpr uint32_t kMostLinks = 65000;
constexpr uint32_t kMajorEnd = 1 << 12;
constexpr uint32_t kMinorEnd = 1 << 20;
constexpr int64_t kEarliest = -(int64_t{1} << 31);
constexpr int64_t kLatest = (int64_t{1} << 34) - (int64_t{1} << 31) - 1;

class Checker {
 public:
  explicit Checker(const Tree& tree) : tree_(tree) {}

  Status Run() {
    if (tree_.nodes.empty() || !IsDirectory(tree_.nodes[0])) {
      return MakeError(Code::kInvalid, "the tree has no root directory");
    }
    RETURN_IF_ERROR(CheckHomes());
    for (uint32_t i = 0; i < tree_.nodes.size(); ++i) {
      RETURN_IF_ERROR(CheckNode(i));
    }
    return CheckEntries();
  }

 private:
  Error Wrong(uint32_t node, const std::string& what) const {
    return MakeError(Code::kInvalid, PathOf(tree_, node) + ": " + what);
  }

  // Homes are directories, and every chain of them ends at the root.
  Status CheckHomes() {
    std::vector<uint8_t> reaches(tree_.nodes.size(), 0);
    reaches[0] = 1;
    std::vector<uint32_t> chain;
    for (uint32_t i = 0; i < tree_.nodes.size(); ++i) {
      uint32_t at = i;
      for (; reaches[at] == 0; at = tree_.nodes[at].home) {
        const uint32_t home = tree_.nodes[at].home;
        if (home >= tree_.nodes.size() || !IsDirectory(tree_.nodes[home]) ||
            chain.size() > tree_.nodes.size()) {
          return MakeError(Code::kInvalid, "node " + std::to_string(i) +
                                               " has no way to the root");
        }
        chain.push_back(at);
      }
      for (const uint32_t link : chain) reaches[link] = 1;
      chain.clear();
    }
    return Ok();
  }

  Status CheckNode(uint32_t index) const {
    const TreeNode& node = tree_.nodes[index];
    if (node.layer >= tree_.layer_count ||
        node.changed_layer >= tree_.layer_count ||
        (node.hidden && node.hidden_layer >= tree_.layer_count)) {
      return Wrong(index, "is of a layer that the image does not have");
    }
    if (node.mtime_seconds < kEarliest || node.mtime_seconds > kLatest ||
        node.mtime_nanoseconds >= 1'000'000'000) {
      return Wrong(index, "the time is outside 1901 to 2446");
    }
    if (node.device_major >= kMajorEnd || node.device_minor >= kMinorEnd) {
      return Wrong(index, "the device number is over 4095:1048575");
    }
    if (node.xattr_set > tree_.xattr_sets.size()) {
      return Wrong(index, "its extended attributes are missing");
    }
    if (node.home_name.length > kLongestName) {
      return Wrong(index, "the name is over 255 bytes");
    }
    if (S_ISREG(node.mode)) return CheckFile(index);
    if (S_ISLNK(node.mode)) return CheckSymlink(index);
    return Ok();
  }

  Status CheckFile(uint32_t index) const {
    const TreeNode& node = tree_.nodes[index];
    if (node.size_bytes > kLargestFile) {
      return Wrong(index, "the file is over 16 TiB");
    }
    const uint64_t end = uint64_t{node.first_extent} + node.extent_count;
    if (end > tree_.extents.size()) {
      return Wrong(index, "its extents are missing");
    }
    uint64_t at = 0;
    for (uint64_t i = node.first_extent; i < end; ++i) {
      const TreeExtent& extent = tree_.extents[i];
      if (extent.length == 0 || extent.file_offset < at ||
          extent.file_offset > node.size_bytes ||
          extent.length > node.size_bytes - extent.file_offset) {
        return Wrong(index, "its extents overlap or pass its end");
      }
      at = extent.file_offset + extent.length;
    }
    return Ok();
  }

  Status CheckSymlink(uint32_t index) const {
    const TreeNode& node = tree_.nodes[index];
    if (node.symlink >= tree_.symlinks.size() ||
        tree_.symlinks[node.symlink].size() != node.size_bytes) {
      return Wrong(index, "its target is missing");
    }
    if (node.size_bytes == 0 || node.size_bytes > kLongestSymlink) {
      return Wrong(index,
                   "the target of the symlink is empty or over 4095 "
                   "bytes");
    }
    return Ok();
  }

  Status CheckEntries() const {
    std::vector<uint32_t> names(tree_.nodes.size(), 0);
    for (size_t i = 0; i < tree_.entries.size(); ++i) {
      RETURN_IF_ERROR(CheckEntry(i));
      const TreeEntry& entry = tree_.entries[i];
      const TreeNode& node = tree_.nodes[entry.node];
      const uint32_t count = ++names[entry.node];
      if (IsDirectory(node) &&
          (count > 1 || entry.node == 0 || node.home != entry.directory)) {
        return Wrong(entry.node, "the directory has a second name");
      }
      if (count > kMostLinks) {
        return Wrong(entry.node, "has more than 65000 names");
      }
    }
    for (uint32_t i = 1; i < tree_.nodes.size(); ++i) {
      if (tree_.nodes[i].hidden != (names[i] == 0)) {
        return Wrong(i, "is hidden and named, or neither");
      }
    }
    return Ok();
  }

  Status CheckEntry(size_t index) const {
    const TreeEntry& entry = tree_.entries[index];
    if (entry.node >= tree_.nodes.size() ||
        entry.directory >= tree_.nodes.size() ||
        !IsDirectory(tree_.nodes[entry.directory])) {
      return MakeError(Code::kInvalid,
                       "entry " + std::to_string(index) + " names no node");
    }
    const std::string_view name = tree_.NameOf(entry.name);
    if (name.empty() || name.size() > kLongestName || name == "." ||
        name == ".." || name.find('/') != std::string_view::npos ||
        name.find('\0') != std::string_view::npos) {
      return Wrong(entry.directory, "has an entry whose name is none");
    }
    if (tree_.nodes[entry.directory].hidden) {
      return Wrong(entry.directory, "is hidden, but has an entry");
    }
    if (index == 0) return Ok();
    const TreeEntry& before = tree_.entries[index - 1];
    if (before.directory > entry.directory ||
        (before.directory == entry.directory &&
         tree_.NameOf(before.name) >= name)) {
      return Wrong(entry.directory, "its entries are not in order");
    }
    return Ok();
  }

  const Tree& tree_;
};

}  // namespace

Status CheckTree(const Tree& tree) { return Checker(tree).Run(); }

std::string PathOf(const Tree& tree, uint32_t node) {
  if (node == 0) return "/";
  std::string path;
  while (node != 0 && path.size() < 4096) {
    const TreeNode& facts = tree.nodes[node];
    path.insert(0, "/" + std::string(tree.NameOf(facts.home_name)));
    node = facts.home;
  }
  return path;
}

}  // namespace morsel
