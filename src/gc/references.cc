// SPDX-License-Identifier: Apache-2.0
#include "gc/references.h"

#include <array>
#include <functional>
#include <utility>

#include "base/json.h"
#include "gc/each_key.h"
#include "origin/document.h"
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

void Note(ReferenceMap& references, const std::string& id,
          const std::string& holder, bool firm) {
  if (id.empty()) return;
  References& entry = references[id];
  if (entry.holder.empty() || (firm && !entry.firm)) entry.holder = holder;
  entry.firm = entry.firm || firm;
}

Status ListNamed(ObjectStore& store, const char* folder,
                 ReferenceMap& references) {
  return ForEachKey(store, folder, [&](const ObjectPage::Row& row) -> Status {
    const Result<Document> document = ReadDocument(store, row.key);
    if (!document.ok() && document.error().code == Code::kNotFound) return Ok();
    if (!document.ok()) return document.error();
    ASSIGN_OR_RETURN_AS(const std::vector<NamedManifests> named,
                        NamedBy(document->json),
                        "the origin's " + row.key + " is damaged");
    for (const NamedManifests& manifests : named) {
      Note(references, manifests.current, row.key, /*firm=*/true);
      Note(references, manifests.next, row.key, /*firm=*/false);
    }
    return Ok();
  });
}

// "leases/<id>/<worker>.json": the id; empty if it is no such key.
std::string IdInKey(const std::string& key, std::string_view folder) {
  const size_t slash = key.find('/', folder.size());
  if (slash == std::string::npos) return "";
  std::string id = key.substr(folder.size(), slash - folder.size());
  return IsManifestId(id) ? id : "";
}

Status ListHeld(ObjectStore& store, const char* folder, int64_t oldest,
                ReferenceMap& references) {
  return ForEachKey(store, folder, [&](const ObjectPage::Row& row) -> Status {
    if (row.info.modified_unix_seconds < oldest) return Ok();
    Note(references, IdInKey(row.key, folder), row.key, /*firm=*/true);
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
                                    std::chrono::seconds lease_period) {
  ReferenceMap references;
  for (const char* folder : kNamedFolders)
    RETURN_IF_ERROR(ListNamed(store, folder, references));
  RETURN_IF_ERROR(
      ListHeld(store, "leases/", now - lease_period.count(), references));
  RETURN_IF_ERROR(ListHeld(store, "pins/", 0, references));
  return references;
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
