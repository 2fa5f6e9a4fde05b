// SPDX-License-Identifier: Apache-2.0
// Alarms: reads of an expired root (paper.md §3). Such a read succeeds, and
// writes alarms/<root>/<manifest id>/<worker>.json. Any alarm that a person
// has not acknowledged is the deletion breaker: while there is one, no
// collector deletes anything.
//
// Thread safety: free functions.
// Errors: the store's; kCorrupt if an alarm is damaged, which counts as one
// that is not acknowledged.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

struct Alarm {
  std::string root;
  std::string manifest_id;
  std::string worker;  // IsHolderName
  std::string reader;  // who read, for people
  int64_t at_unix_seconds = 0;
  // How often, also after an acknowledgement. A store may name a version by its
  // bytes: without the count, an alarm that is raised again within the second
  // of the last would have its version, and be acknowledged unseen.
  int64_t raised = 1;
  bool acknowledged = false;
};

// An alarm with the version that was shown: only that one is acknowledged.
struct ShownAlarm {
  Alarm alarm;
  std::string key;
  std::string version;
};

std::string AlarmKey(const Alarm& alarm);

// Ok if it stands already, not acknowledged. Sets the time.
Status RaiseAlarm(ObjectStore& store, Clock& clock, Alarm alarm);
// All of them; those acknowledged only if `all`.
Result<std::vector<ShownAlarm>> ListAlarms(ObjectStore& store, bool all);
// Acknowledges just this one. kExists: it was raised again meanwhile.
Status AcknowledgeAlarm(ObjectStore& store, const ShownAlarm& shown);

}  // namespace morsel
