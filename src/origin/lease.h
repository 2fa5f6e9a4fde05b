// SPDX-License-Identifier: Apache-2.0
// Leases and pins: references to a manifest that are no names of images.
//
//   leases/<id>/<worker>.json   a device that is attached on a worker
//   pins/<id>/<who>.json        pushed to a registry, or held by an operator
//
// A lease is live for one lease period after it was last written, by the
// store's clock; its worker writes it again each third of that. Both are
// announced before the state of the manifest's root is looked at, so that a
// collector either sees the reference or the reader sees the root expired
// (docs/ARCHITECTURE.md, "Announce, look, act").
//
// A read of an expired root succeeds, and is an alarm that stops all deletion
// (origin/alarm.h): attaching a device and renewing its lease count as reads,
// as the caches may hide the others.
//
// Thread safety: free functions.
// Errors: the store's; kCorrupt if a document is damaged.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "origin/origin.h"
#include "store/object_store.h"

namespace morsel {

inline constexpr std::chrono::seconds kLeasePeriod(900);

// 1 to 64 letters, digits, '.', '_' and '-', not led by a dot: part of a key.
bool IsHolderName(std::string_view text);

std::string LeaseKey(const std::string& manifest_id, const std::string& worker);
std::string PinKey(const std::string& manifest_id, const std::string& who);

// `text` as such a name: other characters become '-', and what is too long is
// cut. Empty: "unnamed".
std::string HolderNameOf(std::string_view text);

// Where a manifest is: by the record a reader learns of a move.
struct ManifestPlace {
  ManifestRecord record;
  std::string root_state;

  // A read there is an alarm.
  bool is_expired() const;
};

// Writes nothing. kNotFound: the manifest was collected.
Result<ManifestPlace> FindManifest(ObjectStore& store,
                                   const std::string& manifest_id);
// Writes the lease anew, then looks at the root where the manifest is now, and
// raises the alarm if that is expired. `reader` says who reads, for people
// ("the local cache of w7"). kNotFound: the manifest was collected; the lease
// is taken back.
Result<ManifestPlace> RenewLease(ObjectStore& store, Clock& clock,
                                 const std::string& manifest_id,
                                 const std::string& worker,
                                 const std::string& reader);
// Ok also if there is none.
Status EndLease(ObjectStore& store, const std::string& manifest_id,
                const std::string& worker);

// kUnavailable if the manifest's root is expired: nothing is pinned.
// kNotFound.
Status PinManifest(ObjectStore& store, const std::string& manifest_id,
                   const std::string& who);
// Ok also if there is none.
Status UnpinManifest(ObjectStore& store, const std::string& manifest_id,
                     const std::string& who);

}  // namespace morsel
