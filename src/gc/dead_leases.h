// SPDX-License-Identifier: Apache-2.0
// Deletes leases that have been dead for so long that nobody will renew them:
// their workers were killed, or are gone. A worker that sleeps for longer and
// wakes up just then writes its lease again with its next renewal; until then
// no root can go from expired to deleted.
//
// Thread safety: a free function.
// Errors: the store's. A lease that may not be deleted is left and logged.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

// A day, with leases of 15 minutes.
inline constexpr int kLeasePeriodsForgotten = 96;

// How many there were; with `dry_run` they are only counted.
Result<uint64_t> DeleteDeadLeases(ObjectStore& store,
                                  std::chrono::seconds lease_period,
                                  bool dry_run);

}  // namespace morsel
