// SPDX-License-Identifier: Apache-2.0
// Rotation: what older keys wrapped is wrapped anew by the present one.
//
// Only records and the wrappings of salts are written, each record by
// compare-and-swap, so that converters, movers and other rotations may run
// meanwhile; no manifest and no chunk is touched. It can be stopped and begun
// again at any point. What other keys wrapped stays as it is.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "keys/key_service.h"
#include "store/object_store.h"

namespace morsel {

struct RotationReport {
  uint64_t record_count = 0;    // that were looked at
  uint64_t wrapping_count = 0;  // in them
  uint64_t rewrapped_count = 0;
  uint64_t foreign_count = 0;        // of keys that `keys` does not hold
  uint64_t salt_count = 0;           // roots whose salt was wrapped anew
  std::vector<std::string> damages;  // records and contexts, in words
};

// `keys` wraps under its present key and unwraps what its older ones wrapped.
// `all` also rewraps what the present key wrapped: for a key service whose
// alias now means another key. kUnavailable, kDenied (it may not wrap).
Result<RotationReport> RotateKeys(ObjectStore& store, KeyService& keys,
                                  bool all);

}  // namespace morsel
