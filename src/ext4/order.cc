// SPDX-License-Identifier: Apache-2.0
#include "ext4/order.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

namespace morsel {
namespace {

constexpr uint32_t kPackDepth = 4;
constexpr std::array<std::string_view, 8> kRewritten = {
    "boot", "dev", "etc", "home", "root", "run", "tmp", "var"};

// The directories below each directory, by name: a sorted list and its search.
class ChildDirectories {
 public:
  explicit ChildDirectories(const Tree& tree) : tree_(tree) {
    for (uint32_t i = 1; i < tree.nodes.size(); ++i) {
      if (IsDirectory(tree.nodes[i])) children_.push_back(i);
    }
    std::sort(children_.begin(), children_.end(),
              [&tree](uint32_t a, uint32_t b) {
                const TreeNode& x = tree.nodes[a];
                const TreeNode& y = tree.nodes[b];
                return std::forward_as_tuple(x.home, tree.NameOf(x.home_name),
                                             x.layer) <
                       std::forward_as_tuple(y.home, tree.NameOf(y.home_name),
                                             y.layer);
              });
  }

  size_t size() const { return children_.size(); }
  uint32_t operator[](size_t i) const { return children_[i]; }
  // The half-open range of `home`'s children.
  std::pair<uint32_t, uint32_t> RangeOf(uint32_t home) const {
    const auto begin = std::lower_bound(
        children_.begin(), children_.end(), home,
        [this](uint32_t a, uint32_t h) { return tree_.nodes[a].home < h; });
    auto end = begin;
    while (end != children_.end() && tree_.nodes[*end].home == home) ++end;
    return {static_cast<uint32_t>(begin - children_.begin()),
            static_cast<uint32_t>(end - children_.begin())};
  }

 private:
  const Tree& tree_;
  std::vector<uint32_t> children_;
};

bool IsRewritten(std::string_view top) {
  return std::find(kRewritten.begin(), kRewritten.end(), top) !=
         kRewritten.end();
}

// Walks depth first without recursion: a hostile image is deep.
void RankDirectories(const Tree& tree, PathOrder& order) {
  const ChildDirectories children(tree);
  order.rank.assign(tree.nodes.size(), kNoRank);
  order.directories.reserve(children.size() + 1);
  order.rank[0] = 0;
  order.directories.push_back({});
  std::vector<std::pair<uint32_t, uint32_t>> stack = {children.RangeOf(0)};
  while (!stack.empty()) {
    auto& [next, end] = stack.back();
    if (next == end) {
      stack.pop_back();
      continue;
    }
    const uint32_t node = children[next++];
    const auto depth = static_cast<uint32_t>(stack.size());
    const uint32_t rank = static_cast<uint32_t>(order.directories.size());
    const TreeNode& facts = tree.nodes[node];
    const DirectoryFacts& home = order.directories[order.rank[facts.home]];
    order.rank[node] = rank;
    order.directories.push_back(
        {.node = node,
         .pack_root = depth <= kPackDepth ? rank : home.pack_root,
         .depth = depth,
         .rewritten = depth == 1 ? IsRewritten(tree.NameOf(facts.home_name))
                                 : home.rewritten});
    stack.push_back(children.RangeOf(node));
  }
}

void SortNodes(const Tree& tree, PathOrder& order) {
  order.nodes.reserve(tree.nodes.size());
  for (uint32_t i = 1; i < tree.nodes.size(); ++i) order.nodes.push_back(i);
  std::sort(order.nodes.begin(), order.nodes.end(),
            [&](uint32_t a, uint32_t b) {
              const TreeNode& x = tree.nodes[a];
              const TreeNode& y = tree.nodes[b];
              const uint32_t x_rank = order.rank[x.home];
              const uint32_t y_rank = order.rank[y.home];
              if (x.layer != y.layer) return x.layer < y.layer;
              if (x_rank != y_rank) return x_rank < y_rank;
              return tree.NameOf(x.home_name) < tree.NameOf(y.home_name);
            });
}

void FindRuns(const Tree& tree, PathOrder& order) {
  for (uint32_t i = 0; i < order.nodes.size(); ++i) {
    const TreeNode& node = tree.nodes[order.nodes[i]];
    const uint32_t home_rank = order.rank[node.home];
    if (order.runs.empty() || order.runs.back().home_rank != home_rank ||
        order.runs.back().layer != node.layer) {
      order.runs.push_back({home_rank, i, i, node.layer});
    }
    order.runs.back().end = i + 1;
  }
  for (const TreeNode& node : tree.nodes) {
    if (node.hidden && node.hidden_layer > 0) {
      order.runs.push_back({order.rank[node.home], 0, 0, node.hidden_layer});
    }
  }
  const auto before = [](const HomeRun& a, const HomeRun& b) {
    return std::tie(a.home_rank, a.layer) < std::tie(b.home_rank, b.layer);
  };
  // Filled runs come first, so that unique() keeps them.
  std::stable_sort(order.runs.begin(), order.runs.end(), before);
  order.runs.erase(std::unique(order.runs.begin(), order.runs.end(),
                               [](const HomeRun& a, const HomeRun& b) {
                                 return a.home_rank == b.home_rank &&
                                        a.layer == b.layer;
                               }),
                   order.runs.end());
}

// Whether `after` stands where `node` stood when its layer came: the name was
// free by then, whatever upper layers did later.
bool Succeeds(const Tree& tree, uint32_t index, uint32_t other) {
  const TreeNode& node = tree.nodes[index];
  const TreeNode& after = tree.nodes[other];
  return node.home == after.home && node.hidden && node.layer < after.layer &&
         node.hidden_layer > 0 && node.hidden_layer <= after.layer &&
         !IsDirectory(node) && !IsDirectory(after) &&
         tree.NameOf(node.home_name) == tree.NameOf(after.home_name);
}

void FindChains(const Tree& tree, PathOrder& order) {
  order.before.assign(tree.nodes.size(), kNoNode);
  order.unchanged.assign(tree.nodes.size(), false);
  order.first.resize(tree.nodes.size());
  for (uint32_t i = 0; i < order.first.size(); ++i) order.first[i] = i;
  std::vector<uint32_t> by_name = order.nodes;
  // What its own layer replaced was never there.
  std::erase_if(by_name, [&tree](uint32_t i) {
    return tree.nodes[i].hidden &&
           tree.nodes[i].hidden_layer == tree.nodes[i].layer;
  });
  std::sort(by_name.begin(), by_name.end(), [&](uint32_t a, uint32_t b) {
    const TreeNode& x = tree.nodes[a];
    const TreeNode& y = tree.nodes[b];
    return std::forward_as_tuple(order.rank[x.home], tree.NameOf(x.home_name),
                                 x.layer) <
           std::forward_as_tuple(order.rank[y.home], tree.NameOf(y.home_name),
                                 y.layer);
  });
  for (size_t i = 1; i < by_name.size(); ++i) {
    const uint32_t node = by_name[i];
    if (!Succeeds(tree, by_name[i - 1], node)) continue;
    order.before[node] = by_name[i - 1];
    order.first[node] = order.first[by_name[i - 1]];
  }
}

}  // namespace

bool IsDirectory(const TreeNode& node) { return S_ISDIR(node.mode); }

PathOrder MakePathOrder(const Tree& tree) {
  PathOrder order;
  RankDirectories(tree, order);
  SortNodes(tree, order);
  FindRuns(tree, order);
  FindChains(tree, order);
  return order;
}

}  // namespace morsel
