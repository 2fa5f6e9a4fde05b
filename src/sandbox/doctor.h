// SPDX-License-Identifier: Apache-2.0
// `morsel doctor`: what this machine lacks, and what was left behind by
// processes that were killed.
//
// Examine only looks. Repair clears what Examine found fixable: nothing that a
// live process uses is ever touched (a pid counts only with its start ticks),
// and nothing in STATE_DIR is deleted but the empty folder of an overlay that
// was never made.
//
// Thread safety: one Repair at a time is enough; two do no harm.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "base/result.h"

namespace morsel {

struct Finding {
  enum class Kind {
    kMissing,        // the machine lacks something
    kPermissions,    // a file that others can read or change
    kDeadContainer,  // `morsel run` was killed
    kDeadDevice,     // the agent, or who needed the device, was killed
    kStrayLoop,      // a loop device on a device that is gone
    kUnfinishedOverlay,
  };
  Kind kind = Kind::kMissing;
  std::string what;        // one sentence
  std::string where;       // path, device or container
  std::string suggestion;  // what to do
  bool fixable = false;    // by Repair

  Json ToJson() const;
};

// Everything that is not as it should be; empty if all is well.
Result<std::vector<Finding>> Examine(const Config& config);

// Clears what is fixable of `findings`, containers first. Returns those that
// could not be cleared, with the reason in `suggestion`.
std::vector<Finding> Repair(const Config& config,
                            const std::vector<Finding>& findings);

}  // namespace morsel
