// SPDX-License-Identifier: Apache-2.0
// Walks over the keys below a prefix, page by page: bounded memory, whatever
// the number of keys.
//
// Thread safety: a free function.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

// Calls `visit` for each key in byte order, until it fails. Keys that are made
// or deleted meanwhile may be missed or seen.
Status ForEachKey(ObjectStore& store, const std::string& prefix,
                  const std::function<Status(const ObjectPage::Row&)>& visit);

}  // namespace morsel
