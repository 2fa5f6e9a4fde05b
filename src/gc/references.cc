// SPDX-License-Identifier: Apache-2.0
#include "gc/references.h"

#include <array>
#include <functional>
#include <utility>

#include "base/json.h"
#include "base/mutex.h"
#include "gc/each_key.h"
#include "origin/document.h"
#include "origin/next_step.h"
#include "origin/records.h"

namespace morsel {
namespace {

// Documents with `placements`: what they name is in `current` and `next`.
constexpr std::array<const char*, 2> kNamedFolders = {"images/", "functions/"};

struct NamedManifests {
  std::string current;  // empty: none
  std::string next;
};

Result<std::string> GetManifestId(const Json& slot, std::string_view member) {
  const Json* found = slot.Find(member);
  if (found == nullptr || found->is_null()) return std::string();
  if (found->AsString() == nullptr || !IsManifestId(*found->AsString()))
    return MakeError(Code::kCorrupt,
                     "member " + std::string(member) + ": not as it must be");
  return *found->AsString();
}

Result<std::vector<NamedManifests>> NamedBy(const Json& json) {
  std::vector<NamedManifests> named;
  const Json* placements = json.Find("placements");
  if (placements == nullptr || placements->AsObject() == nullptr)
    return MakeError(Code::kCorrupt, "member placements: not as it must be");
  for (const auto& [label, slot] : *placements->AsObject()) {
    NamedManifests row;
    ASSIGN_OR_RETURN(row.current, GetManifestId(slot, "current"));
    ASSIGN_OR_RETURN(row.next, GetManifestId(slot, "next"));
    named.push_back(std::move(row));
  }
  return named;
}

// Filled by several threads.
class Notes {
 public:
  void Add(const std::string& id, const std::string& holder, bool firm)
      EXCLUDES(mutex_) {
    if (id.empty()) return;
    const MutexLock lock(mutex_);
    References& entry = references_[id];
    if (entry.holder.empty() || (firm && !entry.firm)) entry.holder = holder;
    entry.firm = entry.firm || firm;
  }
  ReferenceMap Take() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return std::move(references_);
  }

 private:
  Mutex mutex_;
  ReferenceMap references_ GUARDED_BY(mutex_);
};

Status NoteNamed(ObjectStore& store, const std::string& key, Notes& notes) {
  const Result<Document> document = ReadDocument(store, key);
  if (!document.ok() && document.error().code == Code::kNotFound) return Ok();
  if (!document.ok()) return WithNextStep(document.error(), key);
  Result<std::vector<NamedManifests>> named = NamedBy(document->json);
  if (!named.ok())
    return WithNextStep(
        std::move(named).error().Wrap("the origin's " + key + " is damaged"),
        key);
  for (const NamedManifests& manifests : *named) {
    notes.Add(manifests.current, key, /*firm=*/true);
    notes.Add(manifests.next, key, /*firm=*/false);
  }
  return Ok();
}

// "leases/<id>/<worker>.json": the id; empty if it is no such key.
std::string IdInKey(const std::string& key, std::string_view folder) {
  const size_t slash = key.find('/', folder.size());
  if (slash == std::string::npos) return "";
  std::string id = key.substr(folder.size(), slash - folder.size());
  return IsManifestId(id) ? id : "";
}

Status NoteHeld(ObjectStore& store, const char* folder, int64_t oldest,
                Notes& notes) {
  return ForEachKey(store, folder, [&](const ObjectPage::Row& row) -> Status {
    if (row.info.modified_unix_seconds >= oldest)
      notes.Add(IdInKey(row.key, folder), row.key, /*firm=*/true);
    return Ok();
  });
}

// One document, one try; true if something was dropped.
Result<bool> DropIn(ObjectStore& store, const std::string& key,
                    const ReferenceMap& manifests) {
  ASSIGN_OR_RETURN(Document document, ReadDocument(store, key));
  bool dropped = false;
  Json& placements = document.json["placements"];
  if (placements.AsObject() == nullptr) return false;
  for (const auto& [label, slot] : Json::Object(*placements.AsObject())) {
    const std::string next = slot.StringOr("next", "");
    if (next.empty() || !manifests.contains(next)) continue;
    placements[label]["next"] = Json();
    dropped = true;
  }
  if (!dropped) return false;
  RETURN_IF_ERROR(ReplaceDocument(store, key, std::move(document.json),
                                  document.info.version));
  return true;
}

}  // namespace

Result<ReferenceMap> ListReferences(ObjectStore& store, int64_t now,
                                    std::chrono::seconds lease_period,
                                    size_t thread_count) {
  Notes notes;
  for (const char* folder : kNamedFolders)
    RETURN_IF_ERROR(ForEachKeyAtOnce(store, folder, thread_count,
                                     [&](const ObjectPage::Row& row) {
                                       return NoteNamed(store, row.key, notes);
                                     }));
  RETURN_IF_ERROR(
      NoteHeld(store, "leases/", now - lease_period.count(), notes));
  RETURN_IF_ERROR(NoteHeld(store, "pins/", 0, notes));
  return notes.Take();
}

Result<uint64_t> DropAnnouncements(ObjectStore& store,
                                   const ReferenceMap& manifests) {
  uint64_t count = 0;
  for (const char* folder : kNamedFolders) {
    RETURN_IF_ERROR(
        ForEachKey(store, folder, [&](const ObjectPage::Row& row) -> Status {
          return RetryWhileChanged(row.key, [&]() -> Status {
            const Result<bool> dropped = DropIn(store, row.key, manifests);
            if (!dropped.ok() && dropped.error().code == Code::kNotFound)
              return Ok();
            if (!dropped.ok()) return dropped.error();
            if (*dropped) ++count;
            return Ok();
          });
        }));
  }
  return count;
}

}  // namespace morsel
