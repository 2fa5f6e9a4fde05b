// SPDX-License-Identifier: Apache-2.0
// Records, pointers and root states in the store, decoded, with the version
// that a compare-and-swap needs.
//
// Thread safety: free functions.
#pragma once

#include <string>

#include "origin/records.h"
#include "store/object_store.h"

namespace morsel {

template <typename T>
struct Versioned {
  T value;
  std::string version;
};

// What the user is told of a name that shows nothing.
Error NoImage(const ImageName& name);

// kNotFound; kCorrupt, naming the object and the member at fault.
Result<RootState> LoadRootState(ObjectStore& store, const std::string& root);
// Also kCorrupt if the record is another manifest's.
Result<Versioned<ManifestRecord>> LoadRecord(ObjectStore& store,
                                             const std::string& id);
Result<Versioned<PointerState>> LoadPointer(ObjectStore& store,
                                            const ImageName& name);

}  // namespace morsel
