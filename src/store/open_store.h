// SPDX-License-Identifier: Apache-2.0
// Opens the object store that an origin string names: the value of --origin.
//
//   PATH or dir:PATH   a directory (store/dir_store.h)
//
// Thread safety: a free function.
#pragma once

#include <memory>
#include <string>

#include "store/object_store.h"

namespace morsel {

// kInvalid: no such provider in this build, or nothing named. kNotFound: it
// does not exist, and `access` is kRead. Others as the provider's.
Result<std::unique_ptr<ObjectStore>> OpenStore(const std::string& origin,
                                               Access access);

}  // namespace morsel
