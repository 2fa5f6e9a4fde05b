// SPDX-License-Identifier: Apache-2.0
// From the text of an origin ("/var/lib/morsel/origin", "dir:/x",
// "s3://bucket/prefix?endpoint=...", store/s3_address.h) to its store.
//
// Thread safety: free functions.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

// kInvalid: no provider of this build, or nothing named. kNotFound: it
// does not exist, and `access` is kRead. Others as the provider's.
Result<std::unique_ptr<ObjectStore>> OpenStore(const std::string& origin,
                                               Access access);

// A store for a process that confines itself afterwards (base/confine.h): all
// that it could not do then has been done. It reads everything, and writes
// below a few folders alone, as far as its rights go: else kDenied.
struct ConfinableStore {
  std::unique_ptr<ObjectStore> whole;  // behind `store`
  std::unique_ptr<ObjectStore> store;
  std::vector<std::string> syscalls;  // that the store needs
};
// `parts`: folders of the first level; `owner`: who the process becomes (0: it
// stays who it is). The store's conditional writes are not tried, as nothing is
// asked of it here: no daemon needs the origin in order to start.
Result<ConfinableStore> OpenConfinableStore(
    const std::string& origin, const std::vector<std::string>& parts,
    uid_t owner);

}  // namespace morsel
