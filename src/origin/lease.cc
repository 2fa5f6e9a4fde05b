// SPDX-License-Identifier: Apache-2.0
#include "origin/lease.h"

#include <algorithm>
#include <optional>

#include "origin/alarm.h"
#include "origin/document.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

constexpr size_t kMaxHolderBytes = 64;

bool IsHolderCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

Json HolderDocument(const std::string& who) {
  Json json;
  json["holder"] = who;
  return json;
}

// A record that still has a root. kNotFound: it was emptied, or never was.
Result<ManifestRecord> LoadLiving(ObjectStore& store, const std::string& id) {
  ASSIGN_OR_RETURN(Versioned<ManifestRecord> record, LoadRecord(store, id));
  if (record.value.root.empty())
    return MakeError(Code::kNotFound, "the manifest " + id + " was collected");
  return std::move(record.value);
}

Status PutHolder(ObjectStore& store, const std::string& key,
                 const std::string& who) {
  return PutDocument(store, key, HolderDocument(who));
}

}  // namespace

bool IsHolderName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxHolderBytes &&
         text.front() != '.' &&
         std::all_of(text.begin(), text.end(), IsHolderCharacter);
}

std::string HolderNameOf(std::string_view text) {
  std::string name(text.substr(0, kMaxHolderBytes));
  for (char& c : name)
    if (!IsHolderCharacter(c)) c = '-';
  if (!name.empty() && name.front() == '.') name.front() = '-';
  return name.empty() ? "unnamed" : name;
}

bool ManifestPlace::is_expired() const {
  return root_state != kRootActive && root_state != kRootRetired;
}

// If it moved in between, its new root is looked at: a state is only told for
// the root of a record that was read afterwards too.
Result<ManifestPlace> FindManifest(ObjectStore& store,
                                   const std::string& manifest_id) {
  ASSIGN_OR_RETURN(ManifestRecord record, LoadLiving(store, manifest_id));
  while (true) {
    ASSIGN_OR_RETURN(const RootState state, LoadRootState(store, record.root));
    ManifestPlace place{std::move(record), state.state};
    if (!place.is_expired()) return place;
    ASSIGN_OR_RETURN(record, LoadLiving(store, manifest_id));
    if (record.root == place.record.root) return place;
  }
}

std::string LeaseKey(const std::string& manifest_id,
                     const std::string& worker) {
  return "leases/" + manifest_id + "/" + worker + ".json";
}

std::string PinKey(const std::string& manifest_id, const std::string& who) {
  return "pins/" + manifest_id + "/" + who + ".json";
}

Result<ManifestPlace> RenewLease(ObjectStore& store, Clock& clock,
                                 const std::string& manifest_id,
                                 const std::string& worker,
                                 const std::string& reader) {
  if (!IsManifestId(manifest_id) || !IsHolderName(worker))
    return MakeError(Code::kInvalid,
                     "no lease can be named " + LeaseKey(manifest_id, worker));
  RETURN_IF_ERROR(PutHolder(store, LeaseKey(manifest_id, worker), worker));
  Result<ManifestPlace> place = FindManifest(store, manifest_id);
  if (!place.ok()) {
    if (place.error().code == Code::kNotFound)
      RETURN_IF_ERROR(EndLease(store, manifest_id, worker));
    return place;
  }
  if (place->is_expired())
    RETURN_IF_ERROR(RaiseAlarm(store, clock,
                               {.root = place->record.root,
                                .manifest_id = manifest_id,
                                .worker = worker,
                                .reader = reader}));
  return place;
}

Status EndLease(ObjectStore& store, const std::string& manifest_id,
                const std::string& worker) {
  return store.Delete(LeaseKey(manifest_id, worker));
}

Status PinManifest(ObjectStore& store, const std::string& manifest_id,
                   const std::string& who) {
  if (!IsManifestId(manifest_id) || !IsHolderName(who))
    return MakeError(Code::kInvalid,
                     "no pin can be named " + PinKey(manifest_id, who));
  RETURN_IF_ERROR(PutHolder(store, PinKey(manifest_id, who), who));
  const Result<ManifestPlace> look = FindManifest(store, manifest_id);
  if (look.ok() && !look->is_expired()) return Ok();
  if (look.ok() || look.error().code == Code::kNotFound)
    RETURN_IF_ERROR(UnpinManifest(store, manifest_id, who));
  if (!look.ok()) return look.error();
  return MakeError(Code::kUnavailable,
                   "the root " + look->record.root + " of the manifest " +
                       manifest_id + " is " + look->root_state +
                       ": it cannot be pinned any more; convert again");
}

Status UnpinManifest(ObjectStore& store, const std::string& manifest_id,
                     const std::string& who) {
  return store.Delete(PinKey(manifest_id, who));
}

}  // namespace morsel
