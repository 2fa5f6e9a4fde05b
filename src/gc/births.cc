// SPDX-License-Identifier: Apache-2.0
#include "gc/births.h"

#include <map>
#include <unordered_set>
#include <utility>

#include "base/log.h"
#include "base/mutex.h"
#include "gc/each_key.h"
#include "manifest/manifest.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxManifestBytes = 64 * kMiB;

// Filled by several threads.
class Nursery {
 public:
  explicit Nursery(std::string root) : root_(std::move(root)) {}

  void Add(const Manifest& manifest) EXCLUDES(mutex_) {
    const std::string born(manifest.root_of_birth());
    if (born == root_) return;
    const MutexLock lock(mutex_);
    Birth& birth = births_[born];
    ++birth.manifests;
    for (size_t i = 0; i < manifest.chunk_count(); ++i) {
      const ManifestChunk chunk = manifest.ChunkAt(i);
      if (!seen_.insert(chunk.name).second) continue;
      ++birth.chunks;
      birth.stored_bytes += chunk.stored_length;
    }
  }
  std::vector<Birth> Take() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    std::vector<Birth> rows;
    for (auto& [root, birth] : births_) {
      birth.root = root;
      rows.push_back(std::move(birth));
    }
    return rows;
  }

 private:
  const std::string root_;
  Mutex mutex_;
  std::map<std::string, Birth> births_ GUARDED_BY(mutex_);
  std::unordered_set<ChunkName> seen_ GUARDED_BY(mutex_);
};

}  // namespace

Result<std::vector<Birth>> MeasureBirths(ObjectStore& store,
                                         const std::string& root,
                                         size_t thread_count) {
  Nursery nursery(root);
  RETURN_IF_ERROR(ForEachKeyAtOnce(
      store, "roots/" + root + "/manifests/", thread_count,
      [&](const ObjectPage::Row& row) -> Status {
        Result<ObjectData> data = store.Get(row.key, 0, kMaxManifestBytes);
        if (!data.ok() && data.error().code == Code::kNotFound) return Ok();
        if (!data.ok()) return data.error();
        const Result<Manifest> manifest =
            Manifest::Parse(std::move(data->bytes));
        if (manifest.ok())
          nursery.Add(*manifest);
        else  // one damaged object must not hide what the others are
          LogWarn("a damaged manifest is not counted",
                  {{"key", row.key}, {"cause", manifest.error().message}});
        return Ok();
      }));
  return nursery.Take();
}

}  // namespace morsel
