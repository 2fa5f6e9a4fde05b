// SPDX-License-Identifier: Apache-2.0
// The states of roots and their steps, one way: active, retired, expired,
// deleted (paper.md §3). Each step is a compare-and-swap on state.json.
//
// Times that decide anything are the store's: when state.json was last
// written, which is when the root came into its state. The history in it is
// for people.
//
// Thread safety: free functions.
// Errors: the store's; kCorrupt if a state is damaged.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "origin/records.h"
#include "store/object_store.h"

namespace morsel {

struct Root {
  std::string id;
  RootState state;
  std::string version;             // of state.json
  int64_t since_unix_seconds = 0;  // in this state, by the store's clock

  bool Is(std::string_view name) const { return state.state == name; }
  // Whether manifests may move between the two: they keep label and class.
  bool IsLike(const Root& other) const {
    return state.placement == other.state.placement &&
           state.tenant == other.state.tenant;
  }
};

// kNotFound.
Result<Root> LoadRoot(ObjectStore& store, const std::string& id);
// All whose creation came to its end, in the order of their ids.
Result<std::vector<Root>> LoadRoots(ObjectStore& store);
// The ids below roots/, also of roots that are not finished.
Result<std::vector<std::string>> ListRootIds(ObjectStore& store);

// The step that follows the root's state. kExists: it has changed since
// `root` was read. Requires: not deleted.
Status AdvanceRoot(ObjectStore& store, Clock& clock, const Root& root);

// active -> retired. kInvalid: it is not active, or there is no other active
// root like it, to which its manifests could move. kNotFound.
Status RetireRoot(ObjectStore& store, Clock& clock, const std::string& id);

// The present moment by the store's clock, in seconds since 1970 UTC: the time
// of a scratch object that it writes.
Result<int64_t> StoreNow(ObjectStore& store);

}  // namespace morsel
