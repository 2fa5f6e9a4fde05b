// SPDX-License-Identifier: Apache-2.0
#include "gc/check.h"

#include <algorithm>
#include <array>
#include <map>

#include "gc/each_key.h"
#include "gc/references.h"
#include "manifest/manifest.h"
#include "origin/chunk_object.h"
#include "origin/lease.h"
#include "origin/popular.h"
#include "origin/record_store.h"
#include "origin/root_state.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxManifestBytes = 64 * kMiB;
constexpr std::string_view kRecordsFolder = "manifests/";
constexpr size_t kManifestIdDigits = 64;

// The chunks that a root holds, sorted.
using ChunkNames = std::vector<ChunkName>;

int RankOf(std::string_view state) {
  constexpr std::array<std::string_view, 4> kOrder = {
      kRootActive, kRootRetired, kRootExpired, kRootDeleted};
  return static_cast<int>(std::find(kOrder.begin(), kOrder.end(), state) -
                          kOrder.begin());
}

Result<ChunkNames> ListChunks(ObjectStore& store, const std::string& root) {
  ChunkNames names;
  RETURN_IF_ERROR(ForEachKey(store, "roots/" + root + "/chunks/",
                             [&](const ObjectPage::Row& row) -> Status {
                               const auto name = ChunkName::Parse(
                                   row.key.substr(row.key.rfind('/') + 1));
                               if (name.ok()) names.push_back(*name);
                               return Ok();
                             }));
  std::sort(names.begin(), names.end());
  return names;
}

class Checker {
 public:
  Checker(ObjectStore& store, int64_t now) : store_(store), now_(now) {}

  Result<GcCheck> Run();

 private:
  void Report(const std::string& where, const std::string& what) {
    check_.problems.push_back({where, what});
  }
  void CheckHistory(const Root& root);
  Status CheckPopular(const Root& root);
  Status CheckSwept(const Root& root);
  // Also of what nobody names: the collector reads all records.
  Status CheckRecords(const ReferenceMap& references);
  // Sorts what is named by the root where it is.
  Status FindHomes(const ReferenceMap& references);
  Status CheckManifest(const Root& root, const std::string& id,
                       const ChunkNames& present);

  ObjectStore& store_;
  const int64_t now_;
  GcCheck check_;
  std::map<std::string, std::vector<std::string>> ids_by_root_;
};

void Checker::CheckHistory(const Root& root) {
  int last = -1;
  for (const RootState::Step& step : root.state.history) {
    const int rank = RankOf(step.state);
    if (rank != last + 1)
      Report(RootStateKey(root.id), "its history goes to " + step.state +
                                        " from another state than the one "
                                        "before that");
    last = rank;
  }
}

// Converts go on without a list that is damaged, and the collector does not
// mend it: nobody else would say so.
Status Checker::CheckPopular(const Root& root) {
  const Result<PopularList> list = ReadPopular(store_, root.id);
  if (list.ok()) return Ok();
  if (list.error().code != Code::kCorrupt) return list.error();
  Report(PopularKey(root.id), list.error().message);
  return Ok();
}

Status Checker::CheckSwept(const Root& root) {
  return ForEachKey(store_, "roots/" + root.id + "/",
                    [&](const ObjectPage::Row& row) -> Status {
                      if (row.key != RootStateKey(root.id))
                        Report(row.key,
                               "is left in a deleted root: the next `morsel "
                               "gc run` sweeps it");
                      return Ok();
                    });
}

Status Checker::CheckRecords(const ReferenceMap& references) {
  return ForEachKey(
      store_, std::string(kRecordsFolder),
      [&](const ObjectPage::Row& row) -> Status {
        const std::string id =
            row.key.substr(kRecordsFolder.size(), kManifestIdDigits);
        if (!IsManifestId(id) || row.key != RecordKey(id)) return Ok();
        const auto reference = references.find(id);
        if (reference != references.end() && reference->second.firm)
          return Ok();
        const auto record = LoadRecord(store_, id);
        if (record.ok() || record.error().code == Code::kNotFound) return Ok();
        if (record.error().code != Code::kCorrupt) return record.error();
        Report(row.key,
               "keeps the collector from its work: " + record.error().message);
        return Ok();
      });
}

Status Checker::FindHomes(const ReferenceMap& references) {
  for (const auto& [id, reference] : references) {
    if (!reference.firm) continue;
    const auto record = LoadRecord(store_, id);
    if (record.ok() && !record->value.root.empty()) {
      ids_by_root_[record->value.root].push_back(id);
      continue;
    }
    if (!record.ok() && record.error().code != Code::kNotFound &&
        record.error().code != Code::kCorrupt)
      return record.error();
    Report(RecordKey(id),
           "is named by " + reference.holder + ", but " +
               (record.ok() ? "was collected" : record.error().message));
  }
  return Ok();
}

Status Checker::CheckManifest(const Root& root, const std::string& id,
                              const ChunkNames& present) {
  ++check_.manifests;
  const std::string key = ManifestKey(root.id, id);
  Result<ObjectData> data = store_.Get(key, 0, kMaxManifestBytes);
  if (!data.ok() && data.error().code != Code::kNotFound) return data.error();
  if (!data.ok()) {
    Report(key,
           "is missing, though its record says that it is there: convert its "
           "image again, or restore it from a copy of the origin");
    return Ok();
  }
  const auto manifest = Manifest::Parse(std::move(data->bytes));
  if (!manifest.ok() || manifest->id() != id) {
    Report(key,
           "is damaged: convert its image again, or restore it from a copy of "
           "the origin");
    return Ok();
  }
  check_.chunks += manifest->chunk_count();
  for (size_t i = 0; i < manifest->chunk_count(); ++i) {
    const ChunkName name = manifest->ChunkAt(i).name;
    if (!std::binary_search(present.begin(), present.end(), name))
      Report(ChunkKey(root.id, name), "is missing; " + key + " names it");
  }
  return Ok();
}

Result<GcCheck> Checker::Run() {
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store_));
  ASSIGN_OR_RETURN(const ReferenceMap references,
                   ListReferences(store_, now_, kLeasePeriod));
  RETURN_IF_ERROR(FindHomes(references));
  RETURN_IF_ERROR(CheckRecords(references));
  check_.roots = roots.size();
  for (const Root& root : roots) {
    CheckHistory(root);
    if (root.Is(kRootDeleted)) RETURN_IF_ERROR(CheckSwept(root));
    if (root.Is(kRootActive)) RETURN_IF_ERROR(CheckPopular(root));
    const std::vector<std::string>& ids = ids_by_root_[root.id];
    if (ids.empty()) continue;
    if (!root.Is(kRootActive) && !root.Is(kRootRetired))
      for (const std::string& id : ids)
        Report(RecordKey(id), "is named, and is in the root " + root.id +
                                  ", which is " + root.state.state);
    ASSIGN_OR_RETURN(const ChunkNames present, ListChunks(store_, root.id));
    for (const std::string& id : ids)
      RETURN_IF_ERROR(CheckManifest(root, id, present));
  }
  return std::move(check_);
}

}  // namespace

Result<GcCheck> CheckInvariants(ObjectStore& store, int64_t now) {
  return Checker(store, now).Run();
}

}  // namespace morsel
