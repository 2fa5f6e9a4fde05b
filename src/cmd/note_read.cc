// SPDX-License-Identifier: Apache-2.0
#include "cmd/note_read.h"

#include <unistd.h>

#include "base/clock.h"
#include "origin/alarm.h"
#include "origin/lease.h"
#include "store/open_store.h"

namespace morsel {
namespace {

// Opened without trying conditional writes, and for alarms alone: who reads an
// image may have no other right to write.
Status Raise(Tool& tool, const ManifestPlace& place, const std::string& verb) {
  // A local cache, which is another user, raises its own beside this one.
  const uid_t owner =
      ::geteuid() == 0
          ? static_cast<uid_t>(tool.config().Integer("local_cache.uid"))
          : 0;
  ASSIGN_OR_RETURN(
      const ConfinableStore opened,
      OpenConfinableStore(tool.config().Origin(), {"alarms"}, owner));
  const std::string worker = HolderNameOf(tool.config().WorkerName());
  return RaiseAlarm(*opened.store, SystemClock(),
                    {.root = place.record.root,
                     .manifest_id = place.record.id,
                     .worker = worker,
                     .reader = "morsel " + verb + " on " + worker});
}

}  // namespace

void NoteRead(Tool& tool, const ManifestRecord& record,
              const std::string& verb) {
  const Result<ManifestPlace> place = FindManifest(tool.Store(), record.id);
  if (!place.ok() || !place->is_expired()) return;
  const Status raised = Raise(tool, *place, verb);
  PrintMessage("warning: the root " + place->record.root + " is " +
               place->root_state + ", and the manifest " + record.id +
               " in it: " +
               (raised.ok() ? "an alarm stops all deletion; see `morsel gc "
                              "status`"
                            : "the alarm could not be raised, tell who runs "
                              "the collector (" +
                                  raised.error().message + ")"));
}

}  // namespace morsel
