// SPDX-License-Identifier: Apache-2.0
#include "ext4/test_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <numeric>
#include <random>

#include "base/fd.h"
#include "base/process.h"
#include "ext4/geometry.h"

namespace morsel {

Status MemorySource::Read(uint64_t source_offset, MutableByteSpan out) {
  if (source_offset + out.size() > bytes.size()) {
    return MakeError(Code::kIo, "past the end of the source");
  }
  std::memcpy(out.data(), bytes.data() + source_offset, out.size());
  return Ok();
}

TreeBuilder::TreeBuilder() {
  tree_.nodes.push_back({.mode = S_IFDIR | 0755});
  names_[""] = 0;
  contents_.emplace_back();
}

uint32_t TreeBuilder::Parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string parent =
      slash == std::string::npos ? "" : path.substr(0, slash);
  if (!names_.contains(parent)) Directory(parent);
  return names_[parent];
}

uint32_t TreeBuilder::Add(const std::string& path, uint32_t mode) {
  if (Has(path)) Remove(path);
  const uint32_t parent = Parent(path);
  const std::string name = path.substr(path.rfind('/') + 1);
  TreeNode node;
  node.mode = mode;
  node.home = parent;
  node.home_name = {static_cast<uint32_t>(tree_.names.size()),
                    static_cast<uint16_t>(name.size())};
  node.layer = node.changed_layer = layer_;
  node.mtime_seconds = 1700000000;
  tree_.names += name;
  tree_.nodes.push_back(node);
  contents_.emplace_back();
  const auto index = static_cast<uint32_t>(tree_.nodes.size() - 1);
  names_[path] = index;
  tree_.nodes[parent].changed_layer = layer_;
  return index;
}

TreeNode& TreeBuilder::File(const std::string& path,
                            const std::string& content) {
  if (content.empty()) return SparseFile(path, 0, {});
  return SparseFile(path, content.size(), {{0, content}});
}

TreeNode& TreeBuilder::SparseFile(
    const std::string& path, uint64_t size,
    const std::map<uint64_t, std::string>& pieces) {
  const uint32_t index = Add(path, S_IFREG | 0644);
  TreeNode& node = tree_.nodes[index];
  node.size_bytes = size;
  node.first_extent = static_cast<uint32_t>(tree_.extents.size());
  node.extent_count = static_cast<uint32_t>(pieces.size());
  for (const auto& [offset, bytes] : pieces) {
    tree_.extents.push_back({offset, source_.bytes.size(), bytes.size()});
    source_.bytes += bytes;
  }
  if (size < 64 * kMiB) {
    contents_[index].resize(size);
    for (const auto& [offset, bytes] : pieces) {
      contents_[index].replace(offset, bytes.size(), bytes);
    }
  }
  return node;
}

TreeNode& TreeBuilder::Directory(const std::string& path) {
  return tree_.nodes[Add(path, S_IFDIR | 0755)];
}

TreeNode& TreeBuilder::Symlink(const std::string& path,
                               const std::string& target) {
  TreeNode& node = tree_.nodes[Add(path, S_IFLNK | 0777)];
  node.size_bytes = target.size();
  node.symlink = static_cast<uint32_t>(tree_.symlinks.size());
  tree_.symlinks.push_back(target);
  return node;
}

TreeNode& TreeBuilder::Special(const std::string& path, uint32_t mode,
                               uint32_t major, uint32_t minor) {
  TreeNode& node = tree_.nodes[Add(path, mode)];
  node.device_major = major;
  node.device_minor = minor;
  return node;
}

void TreeBuilder::HardLink(const std::string& path, const std::string& to) {
  if (Has(path)) Remove(path);
  const uint32_t parent = Parent(path);
  names_[path] = names_.at(to);
  tree_.nodes[parent].changed_layer = layer_;
  const std::string name = path.substr(path.rfind('/') + 1);
  if (tree_.names.find(name) == std::string::npos) tree_.names += name;
}

void TreeBuilder::Remove(const std::string& path) {
  const std::string below = path + "/";
  std::vector<std::string> gone = {path};
  for (auto it = names_.lower_bound(below);
       it != names_.end() && it->first.starts_with(below); ++it) {
    gone.push_back(it->first);
  }
  tree_.nodes[Parent(path)].changed_layer = layer_;
  for (const std::string& name : gone) {
    const uint32_t node = names_.at(name);
    names_.erase(name);
    const bool more =
        std::any_of(names_.begin(), names_.end(),
                    [node](const auto& e) { return e.second == node; });
    if (more) continue;
    tree_.nodes[node].hidden = true;
    tree_.nodes[node].hidden_layer = layer_;
  }
}

void TreeBuilder::SetXattrs(const std::string& path, XattrSet set) {
  tree_.xattr_sets.push_back(std::move(set));
  tree_.nodes[names_.at(path)].xattr_set =
      static_cast<uint32_t>(tree_.xattr_sets.size());
}

Tree TreeBuilder::Build(uint64_t seed) const {
  Tree tree = tree_;
  tree.layer_count = layer_ + 1u;
  std::vector<uint32_t> number(tree.nodes.size());
  std::iota(number.begin(), number.end(), 0);
  std::mt19937_64 random(seed);
  if (seed != 0) std::shuffle(number.begin() + 1, number.end(), random);
  for (size_t i = 0; i < number.size(); ++i) {
    tree.nodes[number[i]] = tree_.nodes[i];
    tree.nodes[number[i]].home = number[tree_.nodes[i].home];
  }
  for (const auto& [path, node] : names_) {
    if (path.empty()) continue;
    const size_t slash = path.rfind('/');
    const std::string parent =
        slash == std::string::npos ? "" : path.substr(0, slash);
    const std::string name = path.substr(path.rfind('/') + 1);
    const TreeNode& facts = tree_.nodes[node];
    TreeName where = facts.home_name;
    if (tree_.NameOf(where) != name) {
      where = {static_cast<uint32_t>(tree.names.find(name)),
               static_cast<uint16_t>(name.size())};
    }
    tree.entries.push_back({number[names_.at(parent)], number[node], where});
  }
  std::sort(tree.entries.begin(), tree.entries.end(),
            [&tree](const TreeEntry& a, const TreeEntry& b) {
              if (a.directory != b.directory) return a.directory < b.directory;
              return tree.NameOf(a.name) < tree.NameOf(b.name);
            });
  return tree;
}

std::map<std::string, std::string> TreeBuilder::Contents() const {
  std::map<std::string, std::string> contents;
  for (const auto& [path, node] : names_) {
    if (S_ISREG(tree_.nodes[node].mode)) contents[path] = contents_[node];
  }
  return contents;
}

std::vector<std::string> TreeBuilder::Paths() const {
  std::vector<std::string> paths;
  for (const auto& name : names_) paths.push_back(name.first);
  return paths;
}

std::map<std::string, FoundFile> TreeBuilder::Expected() const {
  std::vector<uint32_t> links(tree_.nodes.size(), 0);
  for (const auto& [path, node] : names_) {
    const bool directory = S_ISDIR(tree_.nodes[node].mode);
    links[node] += directory ? 2 : 1;  // its name and its "."
    if (!directory || path.empty()) continue;
    const size_t slash = path.rfind('/');
    ++links[names_.at(slash == std::string::npos ? "" : path.substr(0, slash))];
  }
  std::map<std::string, FoundFile> expected;
  for (const auto& [path, index] : names_) {
    const TreeNode& node = tree_.nodes[index];
    expected[path] = {
        .mode = node.mode,
        .uid = node.uid,
        .gid = node.gid,
        .links = links[index],
        .mtime_seconds = node.mtime_seconds,
        .mtime_nanoseconds = node.mtime_nanoseconds,
        .content = S_ISLNK(node.mode) ? tree_.symlinks[node.symlink]
                                      : contents_[index],
    };
  }
  return expected;
}

TestFolder::TestFolder() {
  std::string path = testing::TempDir() + "morsel-ext4-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) ADD_FAILURE() << "no " << path;
  path_ = path;
}

TestFolder::~TestFolder() { std::filesystem::remove_all(path_); }

std::unique_ptr<Ext4Image> BuildImage(const Tree& tree, DataSource& source) {
  const TestFolder folder;
  auto image = Ext4Image::Build(tree, source, folder.path());
  EXPECT_TRUE(image.ok()) << image.error().message;
  return image.ok() ? std::move(image).value() : nullptr;
}

std::map<uint32_t, std::string> ReadChunks(const Ext4Image& image,
                                           DataSource& source) {
  std::map<uint32_t, std::string> chunks;
  for (const uint32_t index : image.chunks()) {
    std::string chunk(kImageChunkBytes, 'x');
    const auto status = image.ReadChunk(
        index, source, std::as_writable_bytes(std::span(chunk)));
    EXPECT_TRUE(status.ok()) << status.error().message;
    chunks[index] = std::move(chunk);
  }
  return chunks;
}

void SaveImage(const Ext4Image& image, DataSource& source,
               const std::string& path) {
  auto file = OpenFile(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(ftruncate(file->get(), static_cast<off_t>(image.size_bytes())), 0);
  std::string chunk(kImageChunkBytes, 'x');
  for (const uint32_t index : image.chunks()) {
    const auto bytes = std::as_writable_bytes(std::span(chunk));
    auto status = image.ReadChunk(index, source, bytes);
    ASSERT_TRUE(status.ok()) << status.error().message;
    status = WriteFullAt(file->get(), index * kImageChunkBytes, bytes);
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
}

void ExpectClean(const std::string& image_path) {
  // Debian's PATH for users has no sbin.
  for (const char* program : {"e2fsck", "/usr/sbin/e2fsck", "/sbin/e2fsck"}) {
    const auto run = RunCommand({program, "-fn", image_path});
    if (!run.ok()) continue;
    EXPECT_EQ(run->exit_code, 0) << (run->out + run->err).substr(0, 4000);
    return;
  }
}

void ExpectClean(const Ext4Image& image, DataSource& source) {
  const TestFolder folder;
  const std::string path = folder.path() + "/image";
  SaveImage(image, source, path);
  ExpectClean(path);
}

}  // namespace morsel
