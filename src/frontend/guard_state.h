// SPDX-License-Identifier: Apache-2.0
// What a guard hands to the newer program that takes its place by exec: the
// numbers of its descriptors and the ids of its processes, which both stay.
//
// The program is started as `morsel-agent --resume N`; descriptor N is a memory
// file with this as JSON. Those of block/agent_setup.h stay where they are.
//
// Thread safety: values.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "base/result.h"

namespace morsel {

struct GuardState {
  // Another version is refused: the twin then goes on with the old program. It
  // changes with the layout of frontend/fuse_slots.h too.
  static constexpr int64_t kVersion = 2;

  // A process, and the guard's end of the socket to it. -1: there is none.
  struct Link {
    int pid = -1;
    int pidfd = -1;
    int socket = -1;
  };
  static Link LinkOf(const Child& process, const Fd& socket) {
    return {process.pid, process.pidfd.get(), socket.get()};
  }

  int fuse = -1;
  int slots = -1;
  int stats = -1;
  int overlay_data = -1;  // these three: not if the device is read only
  int overlay_map = -1;
  int overlay_key = -1;
  int overlay_witness = -1;  // of a named overlay
  int arena = -1;            // of a private local cache
  int control = -1;
  int reply = -1;  // to whoever asked for this
  Link child;
  Link twin;
  Link cache;

  // Replaces the running program. Returns only if that fails.
  Error Exec(const std::string& program) const;
  // What Exec handed over; whoever asks owns the descriptors. kInvalid: another
  // version, or damaged.
  static Result<GuardState> Inherit(int number);

 private:
  Json ToJson() const;
};

}  // namespace morsel
