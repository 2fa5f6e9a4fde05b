// SPDX-License-Identifier: Apache-2.0
// DEVICE_DIR/agent.json: which processes serve the device at present. Process
// ids change whenever one of them dies; this file is replaced whole each time.
//
//   {"guard": {"pid", "start_ticks"}, "twin": …, "child": …, "cache": …,
//    "deaths": N}         pid 0: there is none just now
//
// Who wants to know whether the device is served at all asks its life
// (block/agent_setup.h), which no death leaves in doubt.
//
// Thread safety: a free function.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace morsel {

// Process ids; whoever does not run is written as 0.
struct AgentNote {
  pid_t guard = 0;
  pid_t twin = 0;
  pid_t child = 0;
  pid_t cache = 0;
  uint64_t deaths = 0;  // of children, guards and twins

  // It need not survive a power cut, so nothing is synced. kIo, kExhausted.
  Status Write(const std::string& device_dir) const;
};

}  // namespace morsel
