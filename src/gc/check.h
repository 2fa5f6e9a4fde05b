// SPDX-License-Identifier: Apache-2.0
// Holds a live store to the invariants of paper.md §3, as far as they can be
// seen from outside at one moment:
//
//   - a root's history goes one way, and ends in its state
//   - a manifest that is named has its record, its manifest and all its chunks
//     in one root, which is active or retired
//   - nothing is left in a deleted root but its state
//
// and reads what else may keep the collector from its work: the records that
// nobody names, and the lists of popular chunks of active roots.
//
// What changes while it looks may be reported by mistake: it says so, and a
// second run tells. Memory: 32 bytes for each chunk of the largest root.
//
// Thread safety: a free function.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

struct GcProblem {
  std::string where;  // an object's key
  std::string what;
};

struct GcCheck {
  uint64_t roots = 0;
  uint64_t manifests = 0;  // that are named
  uint64_t chunks = 0;     // that they name
  std::vector<GcProblem> problems;
};

// `now`: the store's time (StoreNow), by which leases are live or dead. Errors
// of the store. What is damaged or missing is a problem, no error.
Result<GcCheck> CheckInvariants(ObjectStore& store, int64_t now);

}  // namespace morsel
