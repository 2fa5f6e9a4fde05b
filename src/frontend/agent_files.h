// SPDX-License-Identifier: Apache-2.0
// The files of an agent that outlive its child: what the starter handed over
// (block/agent_setup.h), the overlay, the statistics, the memory of requests;
// and starting a child with them.
//
// Thread safety: owned by one thread.
#pragma once

#include <optional>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"
#include "block/agent_setup.h"
#include "frontend/fuse_slots.h"
#include "frontend/guard_state.h"

namespace morsel {

// The overlay's files and key; none of a device that is read only.
struct OverlayFiles {
  Fd data;
  Fd map;
  Fd key;
  Fd witness;  // `data`, opened once more; of a named overlay
};

struct AgentFiles {
  AgentSetup setup;
  std::optional<OverlayFiles> overlay;
  Fd stats;
  Fd slots;

  // Reads the setup, and makes the rest. kInvalid: the setup is damaged; kIo,
  // kExhausted.
  static Result<AgentFiles> Make();
  // The part of the slots that a guard needs.
  Result<FuseSlots> MapMarks() const;
  // For a newer program that takes over.
  void AddTo(GuardState& state) const;
  // Owns those of `state` from then on.
  static Result<AgentFiles> Inherit(const GuardState& state);
};

// A child that waits for its first local cache (frontend/child.h).
struct StartedChild {
  Child process;
  Fd socket;  // the guard's end
};
Result<StartedChild> SpawnChild(const AgentFiles& files, int fuse_fd);

// SIGKILL, and waits for the end. Also of a process that another has started.
void KillAndWait(const Child& process);

}  // namespace morsel
