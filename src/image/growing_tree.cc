// SPDX-License-Identifier: Apache-2.0
#include "image/growing_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "image/merge.h"
#include "oci/path.h"

namespace morsel {
namespace {

constexpr int kMaxSymlinks = 40;  // as the kernel (ELOOP)
// Bytes of a path after its symlinks were put in: bounds the work on one.
constexpr size_t kMaxWalkBytes = 64 * 1024;

TreeNode ImplicitDirectory() {
  TreeNode node;
  node.mode = S_IFDIR | 0755;
  return node;
}

}  // namespace

// What is left of a path, with symlinks' targets put in front.
struct GrowingTree::Walk {
  std::string rest;
  size_t position = 0;
  int symlinks = 0;

  bool Next(std::string_view& component) {
    while (position < rest.size() && rest[position] == '/') ++position;
    if (position >= rest.size()) return false;
    const size_t end = std::min(rest.find('/', position), rest.size());
    component = std::string_view(rest).substr(position, end - position);
    position = end;
    return true;
  }
  void Prepend(std::string_view target) {
    std::string joined(target);
    joined += '/';
    joined += std::string_view(rest).substr(position);
    rest = std::move(joined);
    position = 0;
  }
};

GrowingTree::GrowingTree() : table_(tree_.names) {
  tree_.nodes.push_back(ImplicitDirectory());
  link_counts_.push_back(1);
}

Result<uint32_t> GrowingTree::WalkToDirectory(std::string_view path,
                                              bool make) {
  Walk walk;
  walk.rest = path;
  uint32_t directory = 0;
  std::string_view component;
  while (walk.Next(component)) {
    ASSIGN_OR_RETURN(directory, Step(walk, directory, component, make));
    if (directory == kNone) break;
  }
  return directory;
}

// One component further; a symlink is put into the walk instead.
Result<uint32_t> GrowingTree::Step(Walk& walk, uint32_t directory,
                                   std::string_view component, bool make) {
  if (component == ".") return directory;
  // The root is its own home: ".." stays there, as in a chroot.
  if (component == "..") return tree_.nodes[directory].home;
  const uint32_t node = Lookup(directory, component);
  if (node == kNone) {
    if (component.size() > kMaxNameBytes)
      return MakeError(Code::kInvalid,
                       "a symlink on the way has a name over 255 bytes");
    return make ? Add(directory, component, ImplicitDirectory()) : kNone;
  }
  if (S_ISDIR(tree_.nodes[node].mode)) return node;
  if (!S_ISLNK(tree_.nodes[node].mode))
    return MakeError(
        Code::kInvalid,
        "its parent " + PrintablePath(HomePath(node)) + " is no directory");
  const std::string& target = tree_.symlinks[tree_.nodes[node].symlink];
  if (++walk.symlinks > kMaxSymlinks ||
      walk.rest.size() + target.size() > kMaxWalkBytes)
    return MakeError(Code::kInvalid, "too many symlinks on the way, at " +
                                         PrintablePath(HomePath(node)));
  walk.Prepend(target);
  return target.starts_with('/') ? 0 : directory;
}

uint32_t GrowingTree::Lookup(uint32_t directory, std::string_view name) const {
  const uint32_t entry = table_.Find(directory, name);
  return entry == kNone ? kNone : table_.NodeOf(entry);
}

std::string GrowingTree::HomePath(uint32_t node) const {
  std::vector<uint32_t> way;
  for (; node != 0; node = tree_.nodes[node].home) way.push_back(node);
  std::string path;
  for (auto it = way.rbegin(); it != way.rend(); ++it) {
    if (!path.empty()) path += '/';
    path += tree_.NameOf(tree_.nodes[*it].home_name);
  }
  return path;
}

TreeName GrowingTree::AddName(std::string_view name) {
  const TreeName range{static_cast<uint32_t>(tree_.names.size()),
                       static_cast<uint16_t>(name.size())};
  tree_.names += name;
  return range;
}

uint32_t GrowingTree::Add(uint32_t directory, std::string_view name,
                          const TreeNode& attributes) {
  const uint32_t index = static_cast<uint32_t>(tree_.nodes.size());
  TreeNode& node = tree_.nodes.emplace_back(attributes);
  node.home = directory;
  node.home_name = AddName(name);
  node.layer = layer_;
  node.changed_layer = layer_;
  link_counts_.push_back(1);
  table_.Insert(directory, node.home_name, index);
  MarkChanged(directory);
  return index;
}

Status GrowingTree::AddLink(uint32_t directory, std::string_view name,
                            uint32_t node) {
  if (link_counts_[node] >= kMaxLinks)
    return MakeError(Code::kInvalid, "a file has more than 65,000 names");
  const TreeName added = AddName(name);
  table_.Insert(directory, added, node);
  ++link_counts_[node];
  MarkChanged(directory);
  // Which name the tar has as the file and which as the link follows from
  // the order in which its writer saw them: the least one is the home.
  TreeNode& target = tree_.nodes[node];
  if (target.layer != layer_) return Ok();
  std::string path = directory == 0 ? "" : HomePath(directory) + "/";
  path += name;
  if (path < HomePath(node)) {
    target.home = directory;
    target.home_name = added;
  }
  return Ok();
}

void GrowingTree::DropLink(uint32_t node) {
  if (--link_counts_[node] > 0) return;
  tree_.nodes[node].hidden = true;
  tree_.nodes[node].hidden_layer = layer_;
}

void GrowingTree::RemoveEntry(uint32_t entry) {
  const uint32_t node = table_.NodeOf(entry);
  table_.Remove(entry);
  DropLink(node);
  if (S_ISDIR(tree_.nodes[node].mode)) RemoveChildren(node);
}

void GrowingTree::Remove(uint32_t directory, std::string_view name) {
  const uint32_t entry = table_.Find(directory, name);
  if (entry == kNone) return;
  MarkChanged(directory);
  RemoveEntry(entry);
}

// By a list of its own, not by recursion: a hostile tree is 2,000 deep.
void GrowingTree::RemoveChildren(uint32_t directory) {
  std::vector<uint32_t> directories = {directory};
  while (!directories.empty()) {
    const uint32_t top = directories.back();
    directories.pop_back();
    for (uint32_t entry = table_.FirstOf(top); entry != kNone;
         entry = table_.FirstOf(top)) {
      const uint32_t node = table_.NodeOf(entry);
      table_.Remove(entry);
      DropLink(node);
      if (S_ISDIR(tree_.nodes[node].mode)) directories.push_back(node);
      MarkChanged(top);
    }
  }
}

Tree GrowingTree::Take(uint32_t layer_count) {
  tree_.entries = table_.Sorted();
  // The root is there also where no layer is.
  tree_.layer_count = std::max<uint32_t>(layer_count, 1);
  return std::move(tree_);
}

}  // namespace morsel
