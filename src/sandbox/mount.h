// SPDX-License-Identifier: Apache-2.0
// Mounting the ext4 of an attached device.
//
// RULE: the host's kernel mounts only a file system whose manifest
// authenticated under a key of its own key service, that is, one that our own
// converter built. An AttachedDevice is the proof: AttachDevice takes the
// manifest's data key, and the agent opens the manifest with it first.
//
// Mounts are nodev and noatime. Set-uid programs work, as containers need
// them; `morsel mount` for a person to look around is nosuid.
//
// Thread safety: the functions may run at once, for different folders.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "sandbox/device.h"
#include "sandbox/loop.h"

namespace morsel {

struct MountOptions {
  bool read_only = false;
  bool no_set_uid = false;
};

// Mounts the ext4 on `loop` at `dir`, which exists. kCorrupt if the kernel
// finds no ext4 there (its log says why), kDenied, kIo.
Status MountExt4(const LoopDevice& loop, const std::string& dir,
                 const MountOptions& options);

// Gives the ext4 a journal if it has none: a named overlay outlives a crash,
// an image's own file system has no journal. Needs tune2fs. kNotFound if that
// is not installed, kCorrupt if there is no ext4, kIo.
Status EnsureJournal(const LoopDevice& loop);

// `morsel mount`: mounts the device at `dir` (an empty folder that exists) and
// notes it in the device's folder as mount.json. kExists if something is
// mounted there; kInvalid if `dir` is no empty folder; else what the device's
// agent says of its failure (ExplainFailure).
Status MountImage(const Config& config, const AttachedDevice& device,
                  const std::string& dir);
// `morsel umount`: unmounts what MountImage mounted at `dir` and detaches the
// device. kNotFound if Morsel mounted nothing there; kExists if it is in use.
Status UmountImage(const Config& config, const std::string& dir);

// One line of /proc/self/mountinfo.
struct MountInfo {
  std::string dir;     // where
  std::string type;    // "ext4", "fuse.morsel"
  std::string source;  // "/dev/loop3"
};
// All mounts of this mount namespace, oldest first.
Result<std::vector<MountInfo>> ListMounts();
// From the text of such a file: for tests.
std::vector<MountInfo> ParseMountInfo(std::string_view text);

}  // namespace morsel
