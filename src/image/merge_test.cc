// SPDX-License-Identifier: Apache-2.0
#include "image/merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>

namespace morsel {
namespace {

using ::testing::HasSubstr;

// A layer's entry as a test says it.
struct Item {
  std::string path;
  uint32_t mode = S_IFREG | 0644;  // 0: a hard link
  std::string target;
  uint64_t content = 0;  // of files: stands for their bytes
  int64_t mtime = 0;
  uint32_t mtime_nanoseconds = 0;
};

TextRange AddText(LayerRecords& layer, const std::string& text) {
  const TextRange range{static_cast<uint32_t>(layer.text.size()),
                        static_cast<uint16_t>(text.size())};
  layer.text += text;
  return range;
}

LayerRecords MakeLayer(const std::vector<Item>& items) {
  LayerRecords layer;
  layer.id = "sha256:test";
  for (const Item& item : items) {
    EntryRecord record;
    record.path = AddText(layer, item.path);
    record.target = AddText(layer, item.target);
    record.mode = item.mode;
    record.mtime_seconds = item.mtime;
    record.mtime_nanoseconds = item.mtime_nanoseconds;
    if (S_ISREG(item.mode)) {
      record.size_bytes = 1;
      record.first_extent = static_cast<uint32_t>(layer.extents.size());
      record.extent_count = 1;
      layer.extents.push_back({0, item.content, 1});
    }
    layer.entries.push_back(record);
  }
  return layer;
}

Item Dir(const std::string& path, uint32_t mode = 0755) {
  return {.path = path, .mode = S_IFDIR | mode};
}
Item File(const std::string& path, uint64_t content) {
  return {.path = path, .content = content};
}
Item Symlink(const std::string& path, const std::string& target) {
  return {.path = path, .mode = S_IFLNK | 0777, .target = target};
}
Item HardLink(const std::string& path, const std::string& target) {
  return {.path = path, .mode = 0, .target = target};
}
Item Whiteout(const std::string& path) { return {.path = path}; }

// A tree in words: path -> what is there. Files with several names carry the
// least of them.
using Listing = std::map<std::string, std::string>;

std::string Describe(uint32_t mode, const std::string& target, uint64_t content,
                     int64_t mtime) {
  char text[64];
  std::snprintf(text, sizeof(text), "%06o t%lld ", mode,
                static_cast<long long>(mtime));
  if (S_ISLNK(mode)) return text + target;
  return S_ISREG(mode) ? text + std::to_string(content) : text;
}

Listing ListTree(const Tree& tree) {
  std::map<uint32_t, std::string> directories = {{0, ""}};
  std::map<uint32_t, std::string> first_names;
  std::vector<std::pair<std::string, uint32_t>> names;
  std::vector<uint32_t> open = {0};
  while (!open.empty()) {
    const uint32_t directory = open.back();
    open.pop_back();
    for (const TreeEntry& entry : tree.entries) {
      if (entry.directory != directory) continue;
      const std::string path =
          directories[directory] + "/" + std::string(tree.NameOf(entry.name));
      names.emplace_back(path, entry.node);
      if (S_ISDIR(tree.nodes[entry.node].mode)) {
        directories[entry.node] = path;
        open.push_back(entry.node);
      }
    }
  }
  std::sort(names.begin(), names.end());
  Listing listing;
  names.emplace_back("/", 0);
  for (const auto& [path, index] : names) {
    const TreeNode& node = tree.nodes[index];
    EXPECT_FALSE(node.hidden) << path;
    const auto first = first_names.emplace(index, path).first;
    listing[path] =
        Describe(
            node.mode, S_ISLNK(node.mode) ? tree.symlinks[node.symlink] : "",
            S_ISREG(node.mode) ? tree.extents[node.first_extent].source_offset
                               : 0,
            node.mtime_seconds) +
        (first->second == path ? "" : " = " + first->second);
  }
  return listing;
}

Result<MergedImage> Merge(const std::vector<std::vector<Item>>& layers) {
  std::vector<LayerRecords> records;
  for (const auto& layer : layers) records.push_back(MakeLayer(layer));
  return MergeLayers(std::move(records));
}

Listing ListingOf(const std::vector<std::vector<Item>>& layers) {
  const Result<MergedImage> merged = Merge(layers);
  EXPECT_TRUE(merged.ok()) << (merged.ok() ? "" : merged.error().message);
  return merged.ok() ? ListTree(merged->tree) : Listing();
}

std::vector<std::string> Paths(const Listing& listing) {
  std::vector<std::string> paths;
  for (const auto& [path, what] : listing) paths.push_back(path);
  return paths;
}

void ExpectRefused(const std::vector<std::vector<Item>>& layers,
                   const std::string& message) {
  const Result<MergedImage> merged = Merge(layers);
  ASSERT_FALSE(merged.ok()) << message;
  EXPECT_EQ(merged.error().code, Code::kInvalid);
  EXPECT_THAT(merged.error().message, HasSubstr(message));
  EXPECT_THAT(merged.error().message, HasSubstr("layer sha256:test, entry "));
}

TEST(Merge, AppliesWhiteoutsToLowerLayersOnly) {
  EXPECT_EQ(Paths(ListingOf({{Dir("d"), File("d/a", 1), File("d/b", 2)},
                             {File("d/c", 3), Whiteout("d/.wh.a"),
                              Whiteout("d/.wh.c"), Whiteout("x/.wh.y")}})),
            (std::vector<std::string>{"/", "/d", "/d/b", "/d/c"}));
}

TEST(Merge, OpaqueKeepsWhatTheLayerItselfHas) {
  EXPECT_EQ(Paths(ListingOf({{Dir("d"), Dir("d/e"), File("d/e/a", 1)},
                             {File("d/n", 2), Whiteout("d/.wh..wh..opq")}})),
            (std::vector<std::string>{"/", "/d", "/d/n"}));
}

TEST(Merge, ReplacesAFileByADirectoryAndBack) {
  const std::vector<std::vector<Item>> layers = {
      {File("x", 1)}, {Dir("x"), File("x/y", 2)}, {File("x", 3)}};
  EXPECT_EQ(ListingOf(layers)["/x"], "100644 t0 3");
  const Tree tree = Merge(layers)->tree;
  // What is hidden keeps its place and says who hid it.
  size_t hidden = 0;
  for (const TreeNode& node : tree.nodes) hidden += node.hidden ? 1 : 0;
  EXPECT_EQ(hidden, 3u);
}

TEST(Merge, MakesParentsWithoutAnEntry) {
  EXPECT_EQ(ListingOf({{File("a/b/c", 1)}})["/a/b"], "040755 t0 ");
}

TEST(Merge, KeepsEntriesOfADirectoryWhoseAttributesChange) {
  const Listing listing = ListingOf(
      {{Dir("d"), File("d/a", 1)}, {Dir("d", 0700)}, {Dir("", 0711)}});
  EXPECT_EQ(listing.at("/d"), "040700 t0 ");
  EXPECT_EQ(listing.at("/d/a"), "100644 t0 1");
  EXPECT_EQ(listing.at("/"), "040711 t0 ");
}

TEST(Merge, AnUnchangedDirectoryStaysOfItsLayer) {
  const Tree tree =
      Merge({{Dir("d"), File("d/a", 1)}, {Dir("d"), File("b", 2)}})->tree;
  EXPECT_EQ(tree.nodes[1].changed_layer, 0);
  EXPECT_EQ(tree.nodes[0].changed_layer, 1);
}

TEST(Merge, HardLinksAcrossLayersShareTheInode) {
  const Listing listing = ListingOf({{File("a", 1)}, {HardLink("b", "a")}});
  EXPECT_EQ(listing.at("/b"), "100644 t0 1 = /a");
}

TEST(Merge, WhichNameIsTheLinkDoesNotMatter) {
  const Tree one = Merge({{File("a", 1), HardLink("b", "a")}})->tree;
  const Tree other = Merge({{File("b", 1), HardLink("a", "b")}})->tree;
  EXPECT_EQ(ListTree(one), ListTree(other));
  EXPECT_EQ(one.NameOf(one.nodes[1].home_name), "a");
  EXPECT_EQ(other.NameOf(other.nodes[1].home_name), "a");
}

TEST(Merge, FollowsSymlinkedParentsInsideTheRoot) {
  const Listing listing =
      ListingOf({{Dir("usr"), Dir("usr/lib"), Symlink("lib", "/usr/lib"),
                  Symlink("usr/up", "../lib")},
                 {File("lib/a", 1), File("usr/up/b", 2)}});
  EXPECT_EQ(listing.at("/usr/lib/a"), "100644 t0 1");
  EXPECT_EQ(listing.at("/usr/lib/b"), "100644 t0 2");
}

TEST(Merge, RefusesWhatLoops) {
  ExpectRefused({{Symlink("l", "m"), Symlink("m", "l"), File("l/a", 1)}},
                "too many symlinks");
  ExpectRefused({{File("f", 1)}, {File("f/a", 1)}},
                "its parent f is no directory");
  ExpectRefused({{File("", 1)}}, "root is no directory");
}

TEST(Merge, RefusesBadHardLinksAndWhiteouts) {
  ExpectRefused({{HardLink("a", "none")}}, "target none does not exist");
  ExpectRefused({{Dir("d"), HardLink("a", "d")}}, "is a directory");
  ExpectRefused({{HardLink("a", "b"), HardLink("b", "a")}}, "to itself");
  ExpectRefused({{HardLink("a", "a")}}, "to itself");
  ExpectRefused({{Whiteout(".wh.")}}, "names nothing");
  ExpectRefused({{Whiteout("d/.wh...")}}, "names nothing");
  ExpectRefused({{Dir("d"), File("d/f", 1)}, {HardLink("d", "d/f")}},
                "its own target");
}

TEST(Merge, LinksThatWaitForEachOtherAreFewSteps) {
  // In the order of paths each one's target comes last.
  std::vector<Item> items = {File("z", 7)};
  constexpr int kLinks = 20'000;
  const auto name = [](int i) { return "l" + std::to_string(100'000 + i); };
  for (int i = 0; i < kLinks; ++i)
    items.push_back(HardLink(name(i), i + 1 < kLinks ? name(i + 1) : "z"));
  EXPECT_EQ(ListingOf({items}).at("/" + name(0)).substr(0, 11), "100644 t0 7");
}

TEST(Merge, RefusesMoreNamesThanExt4CanCount) {
  std::vector<Item> items = {File("z", 7)};
  for (uint32_t i = 0; i < kMaxLinks; ++i)
    items.push_back(HardLink("l" + std::to_string(i), "z"));
  ExpectRefused({items}, "more than 65,000 names");
}

TEST(Merge, ClampsTimesWithAWarning) {
  const Result<MergedImage> merged =
      Merge({{{.path = "old", .mtime = kMinTime - 1, .mtime_nanoseconds = 5},
              {.path = "new", .mtime = kMaxTime + 1},
              {.path = "edge", .mtime = kMaxTime, .mtime_nanoseconds = 5}}});
  ASSERT_TRUE(merged.ok());
  ASSERT_EQ(merged->warnings.size(), 1u);
  EXPECT_THAT(merged->warnings[0], HasSubstr("2 times outside of 1901"));
  for (const TreeEntry& entry : merged->tree.entries) {
    const TreeNode& node = merged->tree.nodes[entry.node];
    const bool edge = merged->tree.NameOf(entry.name) == "edge";
    EXPECT_GE(node.mtime_seconds, kMinTime);
    EXPECT_LE(node.mtime_seconds, kMaxTime);
    EXPECT_EQ(node.mtime_nanoseconds, edge ? 5u : 0u);
  }
}

TEST(Merge, OfSeveralEntriesForOnePathTheLastCounts) {
  const Listing listing =
      ListingOf({{File("a", 1), Dir("a"), File("a", 2), File("a", 3)}});
  EXPECT_EQ(listing.at("/a"), "100644 t0 3");
}

TEST(Merge, ADeepTreeIsRemovedWithoutRecursion) {
  std::string path;
  for (int i = 0; i < 2000; ++i) path += "d/";
  EXPECT_EQ(Paths(ListingOf({{File(path + "f", 1)}, {Whiteout(".wh.d")}})),
            std::vector<std::string>{"/"});
}

// The model: paths in a map, every rule applied by searching all of it.
class Model {
 public:
  // False if the layer must be refused.
  bool Apply(std::vector<Item> items) {
    std::sort(items.begin(), items.end(),
              [](const Item& a, const Item& b) { return Rank(a) < Rank(b); });
    for (const Item& item : items)
      if (IsWhiteout(item) && !WhiteOut(item)) return false;
    for (const Item& item : items)
      if (!IsWhiteout(item) && item.mode != 0 && !Place(item)) return false;
    std::map<std::string, Item> links;
    for (const Item& item : items)
      if (!IsWhiteout(item) && item.mode == 0) links[item.path] = item;
    for (const Item& item : items)
      if (links.contains(item.path) && !Link(item, links)) return false;
    return true;
  }

  Listing List() const {
    Listing listing;
    std::map<const Item*, std::string> first_names;
    for (const auto& [path, inode] : files_) {
      const auto first = first_names.emplace(inode.get(), path).first;
      listing[path] =
          Describe(inode->mode, inode->target, inode->content, inode->mtime) +
          (first->second == path ? "" : " = " + first->second);
    }
    return listing;
  }

 private:
  static std::tuple<ptrdiff_t, bool, std::string> Rank(const Item& item) {
    return std::make_tuple(std::count(item.path.begin(), item.path.end(), '/'),
                           !S_ISLNK(item.mode), item.path);
  }
  static std::string NameOf(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
  }
  static std::string ParentOf(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash);
  }
  static bool IsWhiteout(const Item& item) {
    return NameOf(item.path).starts_with(".wh.");
  }
  static std::string Below(const std::string& directory,
                           const std::string& name) {
    return directory == "/" ? "/" + name : directory + "/" + name;
  }

  // The real directory of `path`; nothing if it must be refused; "?" if it is
  // not there and must not be made.
  std::optional<std::string> Resolve(const std::string& path, bool make) {
    std::vector<std::string> rest;
    Push(rest, path);
    std::string at = "/";
    for (int steps = 0; !rest.empty(); ++steps) {
      if (steps > 200) return std::nullopt;
      const std::string name = rest.back();
      rest.pop_back();
      if (name == "..") {
        if (at == "/") continue;  // as in a chroot
        at = ParentOf(at).empty() ? "/" : ParentOf(at);
        continue;
      }
      const std::string next = Below(at, name);
      if (!files_.contains(next)) {
        if (!make) return "?";
        files_[next] = std::make_shared<Item>(Dir(""));
      }
      const Item& inode = *files_[next];
      if (S_ISDIR(inode.mode)) {
        at = next;
      } else if (S_ISLNK(inode.mode)) {
        if (inode.target.starts_with('/')) at = "/";
        Push(rest, inode.target);
      } else {
        return std::nullopt;
      }
    }
    return at;
  }

  static void Push(std::vector<std::string>& rest, const std::string& path) {
    std::vector<std::string> names;
    std::string name;
    for (const char c : path + "/") {
      if (c != '/') {
        name += c;
      } else if (!name.empty()) {
        names.push_back(std::exchange(name, ""));
      }
    }
    rest.insert(rest.end(), names.rbegin(), names.rend());
  }

  void Erase(const std::string& path, bool itself) {
    const std::string below = path == "/" ? "/" : path + "/";
    std::erase_if(files_, [&](const auto& file) {
      return (itself && file.first == path) ||
             (file.first != "/" && file.first.starts_with(below));
    });
  }

  bool WhiteOut(const Item& item) {
    const auto directory = Resolve(ParentOf(item.path), false);
    if (!directory) return false;
    if (*directory == "?") return true;
    const std::string name = NameOf(item.path);
    if (name == ".wh..wh..opq")
      Erase(*directory, false);
    else
      Erase(Below(*directory, name.substr(4)), true);
    return true;
  }

  bool Place(const Item& item) {
    const auto directory = Resolve(ParentOf(item.path), true);
    if (!directory) return false;
    const std::string path = Below(*directory, NameOf(item.path));
    if (files_.contains(path) && S_ISDIR(files_[path]->mode) &&
        S_ISDIR(item.mode)) {
      *files_[path] = item;
      return true;
    }
    Erase(path, true);
    files_[path] = std::make_shared<Item>(item);
    return true;
  }

  bool Link(const Item item, std::map<std::string, Item>& links) {
    links.erase(item.path);
    if (!pending_.insert(item.path).second) return false;
    if (pending_.contains(item.target)) return false;
    if (links.contains(item.target) && !Link(links[item.target], links))
      return false;
    pending_.erase(item.path);
    const auto from = Resolve(ParentOf(item.target), false);
    if (!from || *from == "?") return false;
    const std::string target = Below(*from, NameOf(item.target));
    if (!files_.contains(target)) return false;
    const std::shared_ptr<Item> inode = files_[target];
    if (S_ISDIR(inode->mode)) return false;
    const auto directory = Resolve(ParentOf(item.path), true);
    if (!directory) return false;
    const std::string path = Below(*directory, NameOf(item.path));
    if (files_.contains(path) && files_[path] == inode) return true;
    Erase(path, true);
    if (inode.use_count() == 1) return false;  // its target went with it
    files_[path] = inode;
    return true;
  }

  std::map<std::string, std::shared_ptr<Item>> files_ = {
      {"/", std::make_shared<Item>(Dir(""))}};
  std::set<std::string> pending_;
};

class RandomLayers {
 public:
  explicit RandomLayers(uint32_t seed) : random_(seed) {}

  std::vector<Item> Next() {
    std::map<std::string, Item> items;
    for (uint32_t left = Below(12); left > 0; --left) {
      const Item item = NextItem();
      items[item.path] = item;
    }
    std::vector<Item> layer;
    for (const auto& [path, item] : items) layer.push_back(item);
    std::shuffle(layer.begin(), layer.end(), random_);
    return layer;
  }

 private:
  uint32_t Below(uint32_t limit) {
    return static_cast<uint32_t>(random_()) % limit;
  }

  std::string Name() {
    return std::string(1, static_cast<char>('a' + Below(4)));
  }
  std::string Path() {
    std::string path = Name();
    for (uint32_t depth = Below(3); depth > 0; --depth) path += "/" + Name();
    return path;
  }
  Item NextItem() {
    const std::string path = Path();
    const std::string parent =
        path.size() == 1 ? "" : path.substr(0, path.size() - 1);
    switch (Below(10)) {
      case 0:
      case 1:
      case 2: {
        Item item = Dir(path, 0700 + Below(8));
        item.mtime = Below(1000);
        return item;
      }
      case 3:
        return Symlink(path, (Below(2) == 0 ? "/" : "") + Path());
      case 4:
        return Below(4) == 0 ? Symlink(path, "../" + Name())
                             : HardLink(path, Path());
      case 5:
        return Whiteout(parent + ".wh." + Name());
      case 6:
        return Below(3) == 0 ? Whiteout(parent + ".wh..wh..opq")
                             : File(path, random_());
      default:
        return File(path, random_());
    }
  }

  std::mt19937 random_;
};

TEST(Merge, AgreesWithTheModelOnRandomLayers) {
  const uint32_t first_seed = std::random_device()();
  size_t applied = 0;
  for (uint32_t i = 0; i < 3000; ++i) {
    const uint32_t seed = first_seed + i;
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomLayers layers(seed);
    Model model;
    const auto merger = Merger::Create();
    bool refused = false;
    for (int layer = 0; layer < 5 && !refused; ++layer) {
      const std::vector<Item> items = layers.Next();
      refused = !model.Apply(items);
      const Status status = merger->Apply(MakeLayer(items));
      ASSERT_EQ(status.ok(), !refused)
          << (status.ok() ? "" : status.error().message);
      applied += refused ? 0 : 1;
    }
    if (refused) continue;
    ASSERT_EQ(ListTree(merger->Finish().tree), model.List());
  }
  EXPECT_GT(applied, 1000u);
}

TEST(Merge, TheOrderInTheTarDoesNotMatter) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<Item> items = {Dir("usr"),
                             Dir("usr/lib"),
                             Symlink("lib", "usr/lib"),
                             File("lib/a", 1),
                             HardLink("b", "lib/a"),
                             HardLink("c", "b"),
                             Whiteout("usr/.wh.old"),
                             File("usr/lib/z", 2)};
  const std::vector<Item> base = {Dir("usr"), File("usr/old", 9)};
  const Listing expected = ListingOf({base, items});
  for (int i = 0; i < 50; ++i) {
    std::shuffle(items.begin(), items.end(), random);
    ASSERT_EQ(ListingOf({base, items}), expected);
  }
}

}  // namespace
}  // namespace morsel
