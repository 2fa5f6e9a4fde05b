// SPDX-License-Identifier: Apache-2.0
#include "image/merge.h"

#include <sys/stat.h>

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

#include "image/growing_tree.h"
#include "oci/path.h"

namespace morsel {
namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

Error Invalid(std::string message) {
  return MakeError(Code::kInvalid, std::move(message));
}

bool IsWhiteout(std::string_view path) {
  return Split(path).name.starts_with(kWhiteoutPrefix);
}

// A record with what the order of work needs.
struct Work {
  const EntryRecord* record;
  std::string_view path;
  uint32_t depth = 0;

  auto Key() const { return std::tie(depth, path); }
};

enum class LinkState : uint8_t { kWaiting, kOpen, kDone };

struct PendingLink {
  Work work;
  LinkState state = LinkState::kWaiting;
};

// One layer's records in the order of work.
struct LayerPlan {
  std::vector<Work> whiteouts;
  std::vector<Work> entries;       // by depth, symlinks first, by path
  std::vector<PendingLink> links;  // by depth and path
};

// Of records for one path the last stays.
std::vector<Work> SortedWork(const LayerRecords& layer) {
  std::vector<Work> all;
  all.reserve(layer.entries.size());
  for (const EntryRecord& record : layer.entries) {
    const std::string_view path = layer.TextOf(record.path);
    const auto slashes = std::count(path.begin(), path.end(), '/');
    all.push_back(
        {&record, path, path.empty() ? 0 : static_cast<uint32_t>(slashes) + 1});
  }
  std::sort(all.begin(), all.end(), [](const Work& a, const Work& b) {
    // Records lie in the order of the tar; the last of equals comes first.
    if (a.Key() != b.Key()) return a.Key() < b.Key();
    return a.record > b.record;
  });
  const auto same = [](const Work& a, const Work& b) {
    return a.path == b.path;
  };
  all.erase(std::unique(all.begin(), all.end(), same), all.end());
  return all;
}

LayerPlan MakePlan(const LayerRecords& layer) {
  LayerPlan plan;
  for (Work& work : SortedWork(layer)) {
    if (IsWhiteout(work.path))
      plan.whiteouts.push_back(work);
    else if ((work.record->mode & S_IFMT) == 0)
      plan.links.push_back({work});
    else
      plan.entries.push_back(work);
  }
  // Symlinks before their equals in depth, so that a path through them finds
  // them in place.
  const auto rank = [](const Work& work) {
    return std::make_pair(work.depth, !S_ISLNK(work.record->mode));
  };
  std::stable_sort(
      plan.entries.begin(), plan.entries.end(),
      [rank](const Work& a, const Work& b) { return rank(a) < rank(b); });
  return plan;
}

class MergerImpl final : public Merger {
 public:
  Status Apply(const LayerRecords& layer) override {
    layer_ = &layer;
    growing_.BeginLayer(layer_count_++);
    last_parent_path_.clear();
    last_parent_ = GrowingTree::kNone;
    LayerPlan plan = MakePlan(layer);
    for (const Work& work : plan.whiteouts)
      RETURN_IF_ERROR(Locate(WhiteOut(work.path), work.path));
    for (const Work& work : plan.entries)
      RETURN_IF_ERROR(Locate(Place(work), work.path));
    for (size_t i = 0; i < plan.links.size(); ++i)
      RETURN_IF_ERROR(PlaceLinks(plan.links, i));
    warnings_.insert(warnings_.end(), layer.warnings.begin(),
                     layer.warnings.end());
    return Ok();
  }

  MergedImage Finish() override {
    if (clamped_count_ > 0)
      warnings_.push_back(
          std::to_string(clamped_count_) +
          " times outside of 1901 to 2446 were moved into that range, the "
          "first of " +
          first_clamped_);
    return {growing_.Take(layer_count_), std::move(warnings_)};
  }

 private:
  Status Locate(Status status, std::string_view path) const {
    if (status.ok()) return status;
    return std::move(status).error().Wrap("layer " + layer_->id + ", entry " +
                                          PrintablePath(path));
  }

  Status WhiteOut(std::string_view path) {
    const SplitPath split = Split(path);
    ASSIGN_OR_RETURN(const uint32_t directory,
                     growing_.WalkToDirectory(split.directory, false));
    if (split.name == kOpaque) {
      if (directory != GrowingTree::kNone) growing_.RemoveChildren(directory);
      return Ok();
    }
    const std::string_view name = split.name.substr(kWhiteoutPrefix.size());
    if (name.empty() || name == "." || name == "..")
      return Invalid("the whiteout names nothing that can be removed");
    if (directory != GrowingTree::kNone) growing_.Remove(directory, name);
    return Ok();
  }

  // Entries of one directory mostly come together.
  Result<uint32_t> ParentOf(std::string_view path) {
    const std::string_view parent = Split(path).directory;
    if (last_parent_ != GrowingTree::kNone && parent == last_parent_path_)
      return last_parent_;
    ASSIGN_OR_RETURN(last_parent_, growing_.WalkToDirectory(parent, true));
    last_parent_path_ = parent;
    return last_parent_;
  }

  Status Place(const Work& work) {
    const EntryRecord& record = *work.record;
    TreeNode attributes = AttributesOf(record);
    if (work.path.empty()) {
      if (!S_ISDIR(record.mode))
        return Invalid("the image's root is no directory");
      UpdateDirectory(0, attributes);
      return Ok();
    }
    ASSIGN_OR_RETURN(const uint32_t parent, ParentOf(work.path));
    const std::string_view name = Split(work.path).name;
    const uint32_t existing = growing_.Lookup(parent, name);
    if (existing != GrowingTree::kNone) {
      if (S_ISDIR(record.mode) &&
          S_ISDIR(growing_.tree().nodes[existing].mode)) {
        UpdateDirectory(existing, attributes);
        return Ok();
      }
      RemoveOld(parent, name);
    }
    AddContents(record, attributes);
    growing_.Add(parent, name, attributes);
    return Ok();
  }

  void RemoveOld(uint32_t parent, std::string_view name) {
    growing_.Remove(parent, name);
    last_parent_ = GrowingTree::kNone;  // it may have been below
  }

  TreeNode AttributesOf(const EntryRecord& record) {
    TreeNode node;
    node.mode = record.mode;
    node.uid = record.uid;
    node.gid = record.gid;
    node.mtime_seconds = std::clamp(record.mtime_seconds, kMinTime, kMaxTime);
    node.mtime_nanoseconds = record.mtime_nanoseconds;
    if (node.mtime_seconds != record.mtime_seconds) {
      node.mtime_nanoseconds = 0;
      if (clamped_count_++ == 0)
        first_clamped_ = PrintablePath(layer_->TextOf(record.path));
    }
    node.device_major = record.device_major;
    node.device_minor = record.device_minor;
    if (record.xattr_set != 0) {
      auto& sets = growing_.tree().xattr_sets;
      sets.push_back(layer_->xattr_sets[record.xattr_set - 1]);
      node.xattr_set = static_cast<uint32_t>(sets.size());
    }
    return node;
  }

  void AddContents(const EntryRecord& record, TreeNode& node) {
    Tree& tree = growing_.tree();
    if (S_ISLNK(record.mode)) {
      node.size_bytes = record.target.length;
      node.symlink = static_cast<uint32_t>(tree.symlinks.size());
      tree.symlinks.emplace_back(layer_->TextOf(record.target));
    }
    if (S_ISREG(record.mode)) {
      node.size_bytes = record.size_bytes;
      node.first_extent = static_cast<uint32_t>(tree.extents.size());
      node.extent_count = record.extent_count;
      const auto first = layer_->extents.begin() + record.first_extent;
      tree.extents.insert(tree.extents.end(), first,
                          first + record.extent_count);
    }
  }

  bool SameXattrs(uint32_t a, uint32_t b) {
    const auto& sets = growing_.tree().xattr_sets;
    if (a == 0 || b == 0) return a == b;
    return sets[a - 1] == sets[b - 1];
  }

  // Layers repeat directories of lower ones with nothing changed: these stay
  // as they are, so that their blocks stay shared.
  void UpdateDirectory(uint32_t index, const TreeNode& now) {
    TreeNode& node = growing_.tree().nodes[index];
    const auto key = [](const TreeNode& n) {
      return std::tie(n.mode, n.uid, n.gid, n.mtime_seconds,
                      n.mtime_nanoseconds);
    };
    if (key(node) == key(now) && SameXattrs(node.xattr_set, now.xattr_set))
      return;
    node.mode = now.mode;
    node.uid = now.uid;
    node.gid = now.gid;
    node.mtime_seconds = now.mtime_seconds;
    node.mtime_nanoseconds = now.mtime_nanoseconds;
    node.xattr_set = now.xattr_set;
    growing_.MarkChanged(index);
  }

  // A link's target may be a link of the same layer that waits still: that
  // one comes first, by a list of its own instead of recursion.
  Status PlaceLinks(std::vector<PendingLink>& links, size_t index) {
    std::vector<size_t> open = {index};
    while (!open.empty()) {
      PendingLink& link = links[open.back()];
      if (link.state == LinkState::kDone) {
        open.pop_back();
        continue;
      }
      const size_t other = link.state == LinkState::kWaiting
                               ? FindTarget(links, link.work)
                               : links.size();
      link.state = LinkState::kOpen;
      if (other < links.size() && links[other].state == LinkState::kOpen)
        return Locate(Invalid("the hard link leads to itself"), link.work.path);
      if (other < links.size() && links[other].state == LinkState::kWaiting) {
        open.push_back(other);
        continue;
      }
      RETURN_IF_ERROR(Locate(PlaceLink(link.work), link.work.path));
      link.state = LinkState::kDone;
    }
    return Ok();
  }

  // Which of `links` has the path that `work` links to; links.size(): none.
  size_t FindTarget(const std::vector<PendingLink>& links, const Work& work) {
    const std::string_view target = layer_->TextOf(work.record->target);
    const auto slashes = std::count(target.begin(), target.end(), '/');
    const Work wanted{work.record, target, static_cast<uint32_t>(slashes) + 1};
    const auto it = std::lower_bound(links.begin(), links.end(), wanted,
                                     [](const PendingLink& a, const Work& b) {
                                       return a.work.Key() < b.Key();
                                     });
    if (it == links.end() || it->work.path != target) return links.size();
    return static_cast<size_t>(it - links.begin());
  }

  Status PlaceLink(const Work& work) {
    const std::string_view target = layer_->TextOf(work.record->target);
    if (work.path.empty()) return Invalid("the root cannot be a hard link");
    const SplitPath split = Split(target);
    ASSIGN_OR_RETURN(const uint32_t directory,
                     growing_.WalkToDirectory(split.directory, false));
    const uint32_t node = directory == GrowingTree::kNone || target.empty()
                              ? GrowingTree::kNone
                              : growing_.Lookup(directory, split.name);
    if (node == GrowingTree::kNone)
      return Invalid("the hard link's target " + PrintablePath(target) +
                     " does not exist");
    if (S_ISDIR(growing_.tree().nodes[node].mode))
      return Invalid("the hard link's target " + PrintablePath(target) +
                     " is a directory");
    ASSIGN_OR_RETURN(const uint32_t parent, ParentOf(work.path));
    const std::string_view name = Split(work.path).name;
    if (growing_.Lookup(parent, name) == node) return Ok();
    RemoveOld(parent, name);
    if (growing_.tree().nodes[node].hidden)
      return Invalid("the hard link takes the place of its own target");
    return growing_.AddLink(parent, name, node);
  }

  GrowingTree growing_;
  const LayerRecords* layer_ = nullptr;
  uint16_t layer_count_ = 0;
  // ParentOf's last answer.
  std::string last_parent_path_;
  uint32_t last_parent_ = GrowingTree::kNone;
  uint64_t clamped_count_ = 0;
  std::string first_clamped_;
  std::vector<std::string> warnings_;
};

}  // namespace

std::unique_ptr<Merger> Merger::Create() {
  return std::make_unique<MergerImpl>();
}

Result<MergedImage> MergeLayers(std::vector<LayerRecords> layers) {
  const std::unique_ptr<Merger> merger = Merger::Create();
  for (LayerRecords& layer : layers) {
    RETURN_IF_ERROR(merger->Apply(layer));
    layer = LayerRecords();
  }
  return merger->Finish();
}

}  // namespace morsel
