// SPDX-License-Identifier: Apache-2.0
// What rotations have cost of dedup. Chunks keep their names when they move,
// and a name follows from the root of birth; so of what was moved into a root,
// nothing is shared with images that are born there. What lies in a root and
// was born in another is what that one's rotation cost at most: an image with
// the same content that is converted now stores it once more.
//
// Thread safety: a free function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

struct Birth {
  std::string root;  // of birth
  uint64_t manifests = 0;
  uint64_t chunks = 0;  // that they name, each counted once
  uint64_t stored_bytes = 0;
};

// Of the manifests that lie in `root`, those that were born elsewhere, in the
// order of the roots' ids. Reads every manifest of the root, `thread_count` at
// once, with no key. Memory: some 60 bytes for each of these chunks. A
// damaged manifest is logged and not counted. Errors of the store.
Result<std::vector<Birth>> MeasureBirths(ObjectStore& store,
                                         const std::string& root,
                                         size_t thread_count);

}  // namespace morsel
