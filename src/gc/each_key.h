// SPDX-License-Identifier: Apache-2.0
// Walks over the keys below a prefix, page by page: bounded memory, whatever
// the number of keys.
//
// Thread safety: free functions.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

using KeyVisitor = std::function<Status(const ObjectPage::Row&)>;

// Calls `visit` for each key in byte order, until it fails. Keys that are made
// or deleted meanwhile may be missed or seen.
Status ForEachKey(ObjectStore& store, const std::string& prefix,
                  const KeyVisitor& visit);
// The same by `thread_count` threads at once, in no order: for who asks the
// store about each key. With 1, as above.
Status ForEachKeyAtOnce(ObjectStore& store, const std::string& prefix,
                        size_t thread_count, const KeyVisitor& visit);

}  // namespace morsel
