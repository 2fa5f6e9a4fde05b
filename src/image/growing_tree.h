// SPDX-License-Identifier: Apache-2.0
// The tree under construction: nodes, names, and the way along a path, with
// symlinks followed inside the image's root.
//
// Thread safety: owned by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ext4/tree.h"
#include "image/entry_table.h"

namespace morsel {

class GrowingTree {
 public:
  static constexpr uint32_t kNone = EntryTable::kNone;

  GrowingTree();

  // Everything that follows happens in this layer.
  void BeginLayer(uint16_t layer) { layer_ = layer; }

  // The directory at `path` ("": the root). What is missing is made if
  // `make`; else kNone is returned for it. kInvalid: something on the way is
  // no directory, symlinks lead out of the root, or there are more than 40.
  Result<uint32_t> WalkToDirectory(std::string_view path, bool make);
  // The node of that name, or kNone.
  uint32_t Lookup(uint32_t directory, std::string_view name) const;
  // "a/b/c": where the node was put first.
  std::string HomePath(uint32_t node) const;

  // A new node with `attributes` under that name. Requires: the name is free.
  uint32_t Add(uint32_t directory, std::string_view name,
               const TreeNode& attributes);
  // Another name for a node. kInvalid if it has too many.
  Status AddLink(uint32_t directory, std::string_view name, uint32_t node);
  // Takes a name away and all that is below it. Ok also if it is not there.
  void Remove(uint32_t directory, std::string_view name);
  void RemoveChildren(uint32_t directory);
  // Notes that this layer changed the directory.
  void MarkChanged(uint32_t directory) {
    tree_.nodes[directory].changed_layer = layer_;
  }

  Tree& tree() { return tree_; }
  // The finished tree. Call once.
  Tree Take(uint32_t layer_count);

 private:
  struct Walk;
  Result<uint32_t> Step(Walk& walk, uint32_t directory,
                        std::string_view component, bool make);
  TreeName AddName(std::string_view name);
  void RemoveEntry(uint32_t entry);
  void DropLink(uint32_t node);

  Tree tree_;
  EntryTable table_;
  std::vector<uint32_t> link_counts_;  // names of each node
  uint16_t layer_ = 0;
};

}  // namespace morsel
