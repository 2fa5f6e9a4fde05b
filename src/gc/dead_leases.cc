// SPDX-License-Identifier: Apache-2.0
#include "gc/dead_leases.h"

#include <optional>
#include <string>

#include "base/log.h"
#include "gc/each_key.h"
#include "origin/root_state.h"

namespace morsel {
namespace {

// True if it was deleted. It is looked at once more, as its listing may be old.
Result<bool> DeleteIfOlder(ObjectStore& store, const std::string& key,
                           int64_t oldest) {
  const Result<ObjectInfo> info = store.Head(key);
  if (!info.ok() && info.error().code == Code::kNotFound) return false;
  if (!info.ok()) return info.error();
  if (info->modified_unix_seconds >= oldest) return false;
  const Status deleted = store.Delete(key);
  if (deleted.ok()) return true;
  if (deleted.error().code != Code::kDenied) return deleted.error();
  LogWarn("a dead lease may not be deleted",
          {{"key", key}, {"cause", deleted.error().message}});
  return false;
}

}  // namespace

Result<uint64_t> DeleteDeadLeases(ObjectStore& store,
                                  std::chrono::seconds lease_period,
                                  bool dry_run) {
  uint64_t count = 0;
  // Asked for with the first lease only: it costs a write.
  std::optional<int64_t> oldest;
  RETURN_IF_ERROR(
      ForEachKey(store, "leases/", [&](const ObjectPage::Row& row) -> Status {
        if (!oldest) {
          ASSIGN_OR_RETURN(const int64_t now, StoreNow(store));
          oldest = now - kLeasePeriodsForgotten * lease_period.count();
        }
        if (row.info.modified_unix_seconds >= *oldest) return Ok();
        bool is_dead = true;
        if (!dry_run) {
          ASSIGN_OR_RETURN(is_dead, DeleteIfOlder(store, row.key, *oldest));
        }
        count += is_dead ? 1 : 0;
        return Ok();
      }));
  return count;
}

}  // namespace morsel
