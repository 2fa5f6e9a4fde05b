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

struct Look {
  ManifestRecord record;
  std::string state;
};

// Where the manifest is, and the state of that root. If it moved in between,
// its new root is looked at: a state is only read for the root of a record
// that is read afterwards too.
Result<Look> LookAtRoot(ObjectStore& store, const std::string& id) {
  ASSIGN_OR_RETURN(ManifestRecord record, LoadLiving(store, id));
  while (true) {
    ASSIGN_OR_RETURN(const RootState state, LoadRootState(store, record.root));
    if (state.state == kRootActive || state.state == kRootRetired)
      return Look{std::move(record), state.state};
    ASSIGN_OR_RETURN(ManifestRecord again, LoadLiving(store, id));
    if (again.root == record.root) return Look{std::move(record), state.state};
    record = std::move(again);
  }
}

Status PutHolder(ObjectStore& store, const std::string& key,
                 const std::string& who) {
  return PutDocument(store, key, HolderDocument(who));
}

}  // namespace

bool IsHolderName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxHolderBytes &&
         text.front() != '.' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
         });
}

std::string LeaseKey(const std::string& manifest_id,
                     const std::string& worker) {
  return "leases/" + manifest_id + "/" + worker + ".json";
}

std::string PinKey(const std::string& manifest_id, const std::string& who) {
  return "pins/" + manifest_id + "/" + who + ".json";
}

Result<ManifestRecord> RenewLease(ObjectStore& store, Clock& clock,
                                  const std::string& manifest_id,
                                  const std::string& worker,
                                  const std::string& reader) {
  if (!IsManifestId(manifest_id) || !IsHolderName(worker))
    return MakeError(Code::kInvalid,
                     "no lease can be named " + LeaseKey(manifest_id, worker));
  RETURN_IF_ERROR(PutHolder(store, LeaseKey(manifest_id, worker), worker));
  Result<Look> look = LookAtRoot(store, manifest_id);
  if (!look.ok()) {
    if (look.error().code == Code::kNotFound)
      RETURN_IF_ERROR(EndLease(store, manifest_id, worker));
    return std::move(look).error();
  }
  if (look->state != kRootActive && look->state != kRootRetired)
    RETURN_IF_ERROR(RaiseAlarm(store, clock,
                               {.root = look->record.root,
                                .manifest_id = manifest_id,
                                .worker = worker,
                                .reader = reader}));
  return std::move(look->record);
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
  const Result<Look> look = LookAtRoot(store, manifest_id);
  const bool allowed =
      look.ok() && (look->state == kRootActive || look->state == kRootRetired);
  if (allowed) return Ok();
  if (look.ok() || look.error().code == Code::kNotFound)
    RETURN_IF_ERROR(UnpinManifest(store, manifest_id, who));
  if (!look.ok()) return look.error();
  return MakeError(Code::kUnavailable,
                   "the root " + look->record.root + " of the manifest " +
                       manifest_id + " is " + look->state +
                       ": it cannot be pinned any more; convert again");
}

Status UnpinManifest(ObjectStore& store, const std::string& manifest_id,
                     const std::string& who) {
  return store.Delete(PinKey(manifest_id, who));
}

}  // namespace morsel
