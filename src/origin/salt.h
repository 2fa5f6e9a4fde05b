// SPDX-License-Identifier: Apache-2.0
// The salts of roots: secrets, wrapped once for each key that may convert into
// the root, with the root's id as the context (paper.md §2).
//
// Thread safety: free functions.
// Errors: the store's and the key service's; kCorrupt if an object is damaged.
#pragma once

#include <string>

#include "crypto/secret.h"
#include "keys/key_service.h"
#include "store/object_store.h"

namespace morsel {

// Names the salt without saying anything about it.
std::string SaltId(const SecretKey& salt);

// One of a root's, by its key in the store.
Result<WrappedKey> ReadWrappedSalt(ObjectStore& store,
                                   const std::string& object);

// By the wrapping of the key service's present key; else by that of an older
// key that it holds, too, as after a rotation. kDenied: none was admitted.
Result<SecretKey> ReadSalt(ObjectStore& store, const std::string& root,
                           KeyService& keys);

// kExists: the key is admitted already.
Status WriteSalt(ObjectStore& store, const std::string& root,
                 const SecretKey& salt, KeyService& keys);

}  // namespace morsel
