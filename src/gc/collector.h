// SPDX-License-Identifier: Apache-2.0
// The collector: takes roots through their states, and garbage with them
// (paper.md §3; docs/ARCHITECTURE.md, "Garbage goes with its root").
//
//   retired   each referenced manifest is moved to an active root; when a pass
//             that began `min_retired` after the retirement finds nothing, the
//             root expires
//   expired   all references are listed again before anything is deleted: a
//             live one is moved, and is an alarm; an abandoned announcement is
//             dropped. After three lease periods records are emptied, then
//             manifests, chunks and salts are deleted, in small batches; state
//             and breaker are read again before each
//   deleted   what latecomers put there is deleted; the state stays for ever. A
//             manifest that is named and whole there, as somebody put the state
//             in another one's place, is moved, and is an alarm
//
// Leases that have been dead for a day are deleted (gc/dead_leases.h).
//
// It needs no key. No lock: every step is idempotent and guarded by
// compare-and-swap, so any number of collectors may run, also one that slept
// for an hour in the middle of a step.
//
// Thread safety: free functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "origin/alarm.h"
#include "origin/lease.h"
#include "store/object_store.h"

namespace morsel {

struct GcOptions {
  // How long a root stays retired at least: as long as a converter may take.
  std::chrono::seconds min_retired = std::chrono::hours(24);
  std::chrono::seconds lease_period = kLeasePeriod;
  // Deletions between two looks at the state and the breaker.
  size_t batch_size = 100;
  size_t thread_count = 8;  // requests in flight; 1: by the caller's thread
  uint64_t deletes_per_second = 0;  // at most; 0: as many as the store can
  // Asked before each batch of deletions: true ends them in this pass.
  std::function<bool()> must_stop;
  bool dry_run = false;  // only say what would be done
  // A chunk that so many manifests of an active root name is popular, and so
  // many salts are used for it (gc/popularity.h). 0: none is.
  uint64_t popular_manifests = 0;
  uint32_t popular_variants = 16;
  std::string worker = "gc";  // names this collector in alarms; IsHolderName
};

struct RootReport {
  std::string root;
  std::string state_before;
  std::string state_after;
  uint64_t referenced_manifests = 0;  // that were found in it
  uint64_t moved_manifests = 0;
  uint64_t copied_chunks = 0;  // what dedup this rotation cost
  uint64_t copied_bytes = 0;
  uint64_t dropped_announcements = 0;
  uint64_t emptied_records = 0;
  uint64_t deleted_objects = 0;
  uint64_t deleted_bytes = 0;
  std::string next_step;  // one sentence for people
  std::string error;      // why the pass over this root ended early; or empty
};

struct PopularReport {
  std::string root;    // an active one
  uint64_t names = 0;  // that its list has gained
};

struct GcReport {
  std::vector<RootReport> roots;       // none of the active ones
  std::vector<PopularReport> popular;  // lists that have grown
  std::vector<ShownAlarm> alarms;      // not acknowledged: nothing is deleted
  uint64_t dead_leases = 0;            // that were deleted, or would be
  Status first_error;
};

// One pass over all roots that are not active; then the active ones' popular
// chunks are published. An error of one root does not
// keep the others from their pass. Errors of the store if not even the roots
// can be listed.
Result<GcReport> CollectGarbage(ObjectStore& store, Clock& clock,
                                const GcOptions& options);

}  // namespace morsel
