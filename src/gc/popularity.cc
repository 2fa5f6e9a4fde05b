// SPDX-License-Identifier: Apache-2.0
#include "gc/popularity.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/mutex.h"
#include "gc/each_key.h"
#include "manifest/manifest.h"
#include "origin/document.h"
#include "origin/next_step.h"
#include "origin/popular.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxManifestBytes = 64 * kMiB;

std::string ManifestsFolder(const std::string& root) {
  return "roots/" + root + "/manifests/";
}
std::string CountedKey(const std::string& root) {
  return "roots/" + root + "/counted.json";
}

Result<uint64_t> CountManifests(ObjectStore& store, const std::string& root) {
  uint64_t count = 0;
  RETURN_IF_ERROR(
      ForEachKey(store, ManifestsFolder(root), [&](const ObjectPage::Row&) {
        ++count;
        return Ok();
      }));
  return count;
}

// How many there were when they were read last.
Result<uint64_t> CountedBefore(ObjectStore& store, const std::string& root) {
  const Result<Document> document = ReadDocument(store, CountedKey(root));
  if (!document.ok() && document.error().code == Code::kNotFound)
    return uint64_t{0};
  if (!document.ok()) return WithNextStep(document.error(), CountedKey(root));
  return static_cast<uint64_t>(
      std::max<int64_t>(0, document->json.IntOr("manifests", 0)));
}

// The names of one manifest, each once.
Result<std::vector<ChunkName>> NamesIn(ObjectStore& store,
                                       const std::string& key) {
  ASSIGN_OR_RETURN(ObjectData data, store.Get(key, 0, kMaxManifestBytes));
  Result<Manifest> manifest = Manifest::Parse(std::move(data.bytes));
  if (!manifest.ok())
    return WithNextStep(
        std::move(manifest).error().Wrap("the origin's " + key + " is damaged"),
        key);
  std::vector<ChunkName> names;
  for (size_t i = 0; i < manifest->chunk_count(); ++i)
    names.push_back(manifest->ChunkAt(i).name);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<std::vector<ChunkName>> FindPopular(ObjectStore& store,
                                           const std::string& root,
                                           const PopularityOptions& options) {
  Mutex mutex;
  NameCounter counter;
  RETURN_IF_ERROR(ForEachKeyAtOnce(
      store, ManifestsFolder(root), options.thread_count,
      [&](const ObjectPage::Row& row) -> Status {
        const auto names = NamesIn(store, row.key);
        if (!names.ok() && names.error().code == Code::kNotFound) return Ok();
        if (!names.ok()) return names.error();
        const MutexLock lock(mutex);
        for (const ChunkName& name : *names) counter.Add(name);
        return Ok();
      }));
  return counter.AtLeast(options.manifests_min, kMaxPopularNames);
}

}  // namespace

void NameCounter::TakeOneFromAll() {
  for (auto it = counts_.begin(); it != counts_.end();)
    it = --it->second == 0 ? counts_.erase(it) : std::next(it);
}

void NameCounter::Add(const ChunkName& name) {
  const auto found = counts_.find(name);
  if (found != counts_.end())
    ++found->second;
  else if (counts_.size() < limit_)
    counts_.emplace(name, 1);
  else
    TakeOneFromAll();
}

std::vector<ChunkName> NameCounter::AtLeast(uint64_t count,
                                            size_t limit) const {
  std::vector<std::pair<uint64_t, ChunkName>> found;
  for (const auto& [name, met] : counts_)
    if (met >= count) found.emplace_back(met, name);
  std::sort(found.rbegin(), found.rend());
  if (found.size() > limit) found.resize(limit);
  std::vector<ChunkName> names;
  for (const auto& [met, name] : found) names.push_back(name);
  return names;
}

Result<uint64_t> PublishPopular(ObjectStore& store, const std::string& root,
                                const PopularityOptions& options) {
  if (options.manifests_min == 0) return uint64_t{0};
  ASSIGN_OR_RETURN(const uint64_t count, CountManifests(store, root));
  if (count < options.manifests_min) return uint64_t{0};
  ASSIGN_OR_RETURN(const uint64_t before, CountedBefore(store, root));
  if (count < before + before / 4 + 1) return uint64_t{0};
  ASSIGN_OR_RETURN(const std::vector<ChunkName> names,
                   FindPopular(store, root, options));
  ASSIGN_OR_RETURN(const PopularList old, ReadPopular(store, root));
  ASSIGN_OR_RETURN(const PopularList grown,
                   GrowPopular(store, root, names, options.variants));
  Json json;
  json["manifests"] = count;
  RETURN_IF_ERROR(PutDocument(store, CountedKey(root), std::move(json)));
  return grown.names.size() - old.names.size();
}

}  // namespace morsel
