// SPDX-License-Identifier: Apache-2.0
// Which manifests are referenced: named by an image, a function, a live lease
// or a pin. Everything else is garbage, and goes with its root.
//
// Memory: some 200 bytes for each referenced manifest, whatever the number of
// names.
//
// Thread safety: free functions.
// Errors: the store's; kCorrupt if a document that may hold a reference is
// damaged: then nothing may be deleted, as nobody knows what it named.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

struct References {
  // One of those who name the manifest, for people: "images/a/latest.json".
  std::string holder;
  // False: it is only announced (`next`), which nobody reads yet.
  bool firm = false;
};

using ReferenceMap = std::map<std::string, References>;  // by manifest id

// `now` is the store's time: a lease that was last written more than
// `lease_period` before it is dead. `thread_count`: requests in flight.
Result<ReferenceMap> ListReferences(ObjectStore& store, int64_t now,
                                    std::chrono::seconds lease_period,
                                    size_t thread_count = 1);

// Takes back each announcement (`next`) of one of `manifests`, by
// compare-and-swap: who made it and sleeps finds it changed. The count.
Result<uint64_t> DropAnnouncements(ObjectStore& store,
                                   const ReferenceMap& manifests);

}  // namespace morsel
