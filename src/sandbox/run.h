// SPDX-License-Identifier: Apache-2.0
// `morsel run`: a container on an attached device, by runc, until it ends.
//
//   loop device -> ext4 in a mount namespace of our own -> bundle -> runc run
//   -> runc delete -> umount -> detach
//
// RUN_DIR/containers/<id>/ (0700) holds container.json, the bundle and, seen
// by us and runc alone, the mounted root. The container has its device's id.
// Whoever is killed on the way leaves a container.json whose runner is dead:
// doctor.h clears what belongs to it.
//
// Thread safety: one run at a time in a process that has no other threads
// meanwhile (the mount namespace belongs to the thread).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "base/result.h"
#include "sandbox/device.h"
#include "sandbox/image_config.h"
#include "sandbox/run_options.h"
#include "sandbox/signals.h"

namespace morsel {

// `run`'s own failures; a command's exit code may be the same.
inline constexpr int kRunFailed = 125;
inline constexpr int kRunCannotExecute = 126;
inline constexpr int kRunNoSuchCommand = 127;

struct RunTimings {
  double loop_ms = 0;       // loop device
  double mount_ms = 0;      // namespace and ext4
  double bundle_ms = 0;     // users, command, config.json
  double container_ms = 0;  // runc, from its start to its end
  double cleanup_ms = 0;

  Json ToJson() const;
};

struct RunReport {
  // The command's, 128 + the signal that ended it, or one of the three above.
  int exit_code = kRunFailed;
  // Why the command did not run; nothing if it did.
  std::optional<Error> error;
  // What went wrong while cleaning up; the exit code is the command's.
  std::optional<Error> cleanup_error;
  RunTimings timings;
  // What the agent's log said last, never "", if reads or writes of the device
  // failed; the log itself goes with the device.
  std::string device_fault;
  // The device's counters when the command had ended (block/device_stats.h),
  // by their names; null if the agent was dead.
  Json device_stats;
  // Which chunks it read first, in order, as long as the command ran within
  // the time limit; at most kMaxStartupChunks. Else as ReadDeviceStats.
  Result<std::vector<uint32_t>> startup_chunks =
      MakeError(Code::kUnavailable, "the command has not run");
  // The command was ended since RunOptions::time_limit had passed.
  bool timed_out = false;
};

struct RunRequest {
  const Config& config;
  const AttachedDevice& device;
  const ImageConfig& image;
  const RunOptions& options;
  ForwardedSignals& signals;
};

// Runs the container to its end, and detaches the device, whatever happens.
RunReport RunContainer(const RunRequest& request);

}  // namespace morsel
