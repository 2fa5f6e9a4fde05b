// SPDX-License-Identifier: Apache-2.0
// Attached devices: starting an agent, finding those that run, and detaching.
//
// Every attached device has a folder RUN_DIR/devices/<id>/ (0700):
//
//   device.json   what it is, and the process that was started for it
//   agent.json    which processes serve it at present (pid, start ticks)
//   life          locked for as long as it is served
//   fuse/disk     the device, a FUSE file
//   agent.log     the log of guard and child
//
// A reboot empties RUN_DIR; a crash leaves folders that Doctor clears.
//
// Thread safety: the functions may run at once, also in several processes.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "base/result.h"
#include "crypto/secret.h"
#include "keys/key_service.h"
#include "manifest/manifest.h"
#include "origin/origin.h"

namespace morsel {

struct AttachOptions {
  bool read_only = false;
  std::string overlay;  // name of a named overlay; empty: ephemeral
  // The device is of no use once this process has ended: the doctor clears it
  // then. For `run`; a device of `attach` stays until it is detached.
  bool until_exit = false;
  // morsel-agent; empty: beside the running program, else in PATH.
  std::string agent_program;
  // How long the agent may take before it is killed. Reads of a device that
  // is attached have their own limit (io_timeout).
  double ready_timeout_seconds = 30;
};

struct AttachedDevice {
  std::string id;
  std::string path;  // RUN_DIR/devices/<id>/fuse/disk
  std::string image;
  std::string manifest_id;
  std::string overlay;
  bool read_only = false;
  bool overlay_is_new = false;  // a named overlay that was just made
  int64_t agent_pid = 0;        // the guard at present
  uint64_t agent_start_ticks = 0;
  bool alive = false;  // as found by ListDevices

  Json ToJson() const;
};

// Starts an agent for a resolved image and returns when its device is usable.
// kDenied (not root), kExists (the overlay is in use), kInvalid (the overlay
// is of another image), kExhausted, kUnavailable (the agent died, with the
// last line of its log), kTimeout, kNotFound (no morsel-agent), kIo; the
// agent's own error as it reported it. Nothing is left behind.
Result<AttachedDevice> AttachDevice(const Config& config, const ImageName& name,
                                    const ResolvedImage& image,
                                    const SecretKey& data_key, KeyService& keys,
                                    const AttachOptions& options);

// `error` of using the device, with what its agent knows of the cause, where
// reads or writes have failed there or it is dead: its last words, and its
// code, since the kernel says EIO for all. What is missing in the origin is
// kCorrupt, as something names it. To be asked before the detach, which takes
// the log away.
Error ExplainFailure(const Config& config, const AttachedDevice& device,
                     Error error);

// Unmounts the device and waits until its agent has ended. `path` is the
// device's path or id. kExists if it is still in use (names by what, where
// that can be found); kNotFound; kTimeout if the agent does not end.
Status DetachDevice(const Config& config, const std::string& path);

// Replaces the running agent of a device (path or id) by the morsel-agent
// beside this program, without an interruption for its users: the device as it
// is then. kNotFound; else as UpgradeAgent.
Result<AttachedDevice> UpgradeDevice(const Config& config,
                                     const std::string& path);

// Also those whose agent has died (alive is false).
Result<std::vector<AttachedDevice>> ListDevices(const Config& config);

}  // namespace morsel
