// SPDX-License-Identifier: Apache-2.0
// Attached devices: starting an agent, finding those that run, and detaching.
//
// Every attached device has a folder RUN_DIR/devices/<id>/ (0700):
//
//   device.json   what it is and which processes serve it (pid, start ticks)
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
};

struct AttachedDevice {
  std::string id;
  std::string path;  // RUN_DIR/devices/<id>/fuse/disk
  std::string image;
  std::string manifest_id;
  std::string overlay;
  bool read_only = false;
  bool overlay_is_new = false;  // a named overlay that was just made
  int64_t agent_pid = 0;
  uint64_t agent_start_ticks = 0;
  bool alive = false;  // as found by ListDevices

  Json ToJson() const;
};

// Starts an agent for a resolved image and returns when its device is usable.
// kExhausted, kDenied (not root), kUnavailable, kIo; the agent's own error as
// it reported it.
Result<AttachedDevice> AttachDevice(const Config& config,
                                    const ImageName& name,
                                    const ResolvedImage& image,
                                    const SecretKey& data_key,
                                    KeyService& keys,
                                    const AttachOptions& options);

// Unmounts the device and waits until its agent has ended. kExists if it is
// still in use (names by what, where that can be found); kNotFound.
Status DetachDevice(const Config& config, const std::string& path);

Result<std::vector<AttachedDevice>> ListDevices(const Config& config);

}  // namespace morsel
