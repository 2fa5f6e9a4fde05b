// SPDX-License-Identifier: Apache-2.0
#include "ext4/directory_state.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace morsel {
namespace {

bool GoneBy(const TreeNode& node, uint16_t layer) {
  return node.hidden && node.hidden_layer > 0 && node.hidden_layer <= layer;
}

}  // namespace

std::span<const TreeEntry> DirectoryStates::EntriesOf(uint32_t rank) const {
  const uint32_t node = order_.directories[rank].node;
  const auto begin = std::partition_point(
      tree_.entries.begin(), tree_.entries.end(),
      [node](const TreeEntry& e) { return e.directory < node; });
  const auto end = std::partition_point(
      begin, tree_.entries.end(),
      [node](const TreeEntry& e) { return e.directory == node; });
  return {begin, end};
}

void DirectoryStates::CollectNow(uint32_t rank) {
  candidates_.clear();
  for (const TreeEntry& entry : EntriesOf(rank)) {
    candidates_.push_back({tree_.NameOf(entry.name), entry.node});
  }
}

void DirectoryStates::CollectAsOf(uint32_t rank, uint16_t layer) {
  candidates_.clear();
  const uint32_t directory = order_.directories[rank].node;
  auto run = std::partition_point(
      order_.runs.begin(), order_.runs.end(),
      [rank](const HomeRun& r) { return r.home_rank < rank; });
  for (; run != order_.runs.end() && run->home_rank == rank &&
         run->layer <= layer;
       ++run) {
    for (uint32_t i = run->begin; i < run->end; ++i) {
      const TreeNode& node = tree_.nodes[order_.nodes[i]];
      if (GoneBy(node, layer)) continue;
      candidates_.push_back({tree_.NameOf(node.home_name), order_.nodes[i]});
    }
  }
  for (const TreeEntry& entry : EntriesOf(rank)) {
    const TreeNode& node = tree_.nodes[entry.node];
    const bool at_home =
        node.home == directory &&
        tree_.NameOf(node.home_name) == tree_.NameOf(entry.name);
    if (at_home || node.layer > layer) continue;
    candidates_.push_back({tree_.NameOf(entry.name), entry.node});
  }
  // Of several nodes of one name the highest layer's was there.
  std::sort(candidates_.begin(), candidates_.end(),
            [this](const Candidate& a, const Candidate& b) {
              if (a.name != b.name) return a.name < b.name;
              return tree_.nodes[a.node].layer > tree_.nodes[b.node].layer;
            });
  candidates_.erase(std::unique(candidates_.begin(), candidates_.end(),
                                [](const Candidate& a, const Candidate& b) {
                                  return a.name == b.name;
                                }),
                    candidates_.end());
}

std::span<const DirectoryItem> DirectoryStates::MakeItems() {
  items_.clear();
  for (const Candidate& candidate : candidates_) {
    items_.push_back({candidate.name, inodes_[candidate.node],
                      DirectoryItemType(tree_.nodes[candidate.node].mode)});
  }
  return items_;
}

std::span<const DirectoryItem> DirectoryStates::Now(uint32_t rank) {
  CollectNow(rank);
  return MakeItems();
}

std::span<const DirectoryItem> DirectoryStates::AsOf(uint32_t rank,
                                                     uint16_t layer) {
  CollectAsOf(rank, layer);
  return MakeItems();
}

bool DirectoryStates::Same(const Candidate& a, const Candidate& b) const {
  return order_.first[a.node] == order_.first[b.node] && a.name == b.name &&
         (tree_.nodes[a.node].mode & S_IFMT) ==
             (tree_.nodes[b.node].mode & S_IFMT);
}

bool DirectoryStates::SameAs(const std::vector<Candidate>& other) const {
  return std::equal(
      candidates_.begin(), candidates_.end(), other.begin(), other.end(),
      [this](const Candidate& a, const Candidate& b) { return Same(a, b); });
}

bool DirectoryStates::SameAsNow(uint32_t rank, uint16_t layer) {
  CollectNow(rank);
  const std::vector<Candidate> now = std::move(candidates_);
  CollectAsOf(rank, layer);
  return SameAs(now);
}

bool DirectoryStates::SameAsOf(uint32_t rank, uint16_t layer, uint16_t other) {
  CollectAsOf(rank, other);
  const std::vector<Candidate> state = std::move(candidates_);
  CollectAsOf(rank, layer);
  return SameAs(state);
}

}  // namespace morsel
