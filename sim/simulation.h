// SPDX-License-Identifier: Apache-2.0
// One run of the simulator: all actors, some hundreds of steps with faults,
// then quiet until everything that is garbage must be gone.
//
// Thread safety: runs of different worlds are independent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "world.h"

namespace morsel::sim {

struct RunResult {
  uint64_t steps = 0;
  uint64_t roots = 0;    // that were made
  uint64_t deleted = 0;  // of them, deleted at the end
  uint64_t alarms = 0;   // raised, acknowledged or not
  std::vector<std::string> violations;
};

RunResult Simulate(const WorldOptions& options);

}  // namespace morsel::sim
