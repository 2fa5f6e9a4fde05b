// SPDX-License-Identifier: Apache-2.0
// Moves a manifest with all its chunks to another root, readable at every
// moment: announce (`next_root` in the record), look (the target is active),
// copy chunks, then the manifest, and make it good by compare-and-swap on what
// was announced. A target that retires meanwhile clears the announcement, so a
// mover that slept cannot make it good any more.
//
// Thread safety: free functions. Any number of movers of one manifest are
// safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "origin/root_state.h"
#include "store/object_store.h"

namespace morsel {

struct MoveReport {
  bool moved = false;  // false: it was not in `source` (any more)
  std::string target;
  uint64_t copied_chunks = 0;  // that the target did not have
  uint64_t copied_bytes = 0;   // what dedup this rotation cost
};

struct MoveOptions {
  size_t thread_count = 8;  // copies in flight; 1: by the caller's thread
};

// Moves the manifest out of `source` to an active root like it. kInvalid: there
// is none. kCorrupt: the manifest, or a chunk that it names, is damaged or
// gone: the message names it, and nothing of the manifest's has changed.
Result<MoveReport> MoveManifest(ObjectStore& store, const std::string& id,
                                const Root& source, const MoveOptions& options);

// Takes back each move into `root`, which has retired: who announced it and
// sleeps finds its record changed.
Status ClearMovesTo(ObjectStore& store, const std::string& root);

}  // namespace morsel
