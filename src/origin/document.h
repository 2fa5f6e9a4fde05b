// SPDX-License-Identifier: Apache-2.0
// The origin's small JSON objects: read, made, and changed by compare-and-swap.
//
// Each has a member "format"; a reader refuses any but 1, and members that it
// does not know, so that a rewrite never drops what a newer Morsel wrote.
//
// Thread safety: free functions.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>

#include "base/json.h"
#include "store/object_store.h"

namespace morsel {

struct Document {
  Json json;  // an object
  ObjectInfo info;
};

// kNotFound; kCorrupt: no JSON object, over 1 MiB, or of another format.
Result<Document> ReadDocument(ObjectStore& store, const std::string& key);
// Adds the member "format". kExists, as PutIfAbsent.
Status CreateDocument(ObjectStore& store, const std::string& key, Json json);
// The same for ReplaceIfUnchanged. kExists, kNotFound.
Status ReplaceDocument(ObjectStore& store, const std::string& key, Json json,
                       const std::string& version);

// kCorrupt, naming it, if `json` is no object or has a member that is not in
// `members` ("format" is always known).
Status CheckMembers(const Json& json,
                    std::initializer_list<std::string_view> members);

// The same unconditionally: for documents that one writer owns.
Status PutDocument(ObjectStore& store, const std::string& key, Json json);

// Calls `attempt` until it returns anything but kExists, that is, until its
// compare-and-swap is not lost. kUnavailable after 40 times. Between them, from
// the second on, random pauses that grow to 32 times an attempt's own time, 5 s
// at most: about a hundred writers of one object all get their turn.
Status RetryWhileChanged(const std::string& what,
                         const std::function<Status()>& attempt);

}  // namespace morsel
