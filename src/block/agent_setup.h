// SPDX-License-Identifier: Apache-2.0
// What a starter hands to morsel-agent, and what it hears back.
//
// The starter (sandbox/device.h) makes the device folder (0700) and starts
// morsel-agent with these descriptors; nothing secret is ever on its command
// line, in its environment or on disk:
//
//   3  this setup as JSON, in a memory file
//   4  the data key, kKeySize bytes, in a memory file
//   5  the manifest, in a memory file
//   6  the write end of the ready pipe
//   7  the key of a named overlay, kXtsKeySize bytes (only with one)
//   8  the lock of a named overlay (only with one): kept open for as long as
//      the device lives and otherwise left alone. The lock ends with its last
//      holder, so that kill -9 leaves none behind.
//   9  the device's life: DEVICE_DIR/life, with a lock (flock) that every
//      process which keeps the device alive holds, and so ends with the last
//      of them
//
// DEVICE_DIR/fuse is there already, empty.
//
// When the device is usable the agent writes one line of JSON to the ready
// pipe and closes it: {"path": PATH, "pid": PID}; on failure
// {"error": {"code": WORD, "message": TEXT}}, and exits. PATH is
// DEVICE_DIR/fuse/disk. The agent's log is DEVICE_DIR/agent.log. Which
// processes serve the device is in DEVICE_DIR/agent.json
// (frontend/agent_note.h); all of them are in the process group of the first.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace morsel {

struct AgentSetup {
  std::string device_dir;
  std::string image;  // as the user named it, for people
  std::string manifest_id;
  std::string root;  // where the chunks are now
  bool read_only = false;
  // A named overlay's folder; empty: an ephemeral overlay, in a file without a
  // name in `scratch_dir`.
  std::string overlay_dir;
  std::string scratch_dir;
  uint64_t overlay_max_bytes = 0;
  // The shared local cache's socket; empty: the guard starts a private one,
  // with what follows.
  std::string cache_socket;
  std::string origin;
  std::string worker;  // who holds the lease on the image
  uint64_t cache_memory_bytes = 0;
  uint32_t cache_origin_requests = 0;
  // The indexes of the chunks to be loaded ahead, in this order: a hint, which
  // need not be true.
  std::vector<uint32_t> startup_chunks;
  uint32_t cache_uid = 0;  // used if the agent is started by root
  uint32_t child_uid = 0;
  uint32_t thread_count = 0;
  double io_timeout_seconds = 0;

  Json ToJson() const;
  static Result<AgentSetup> FromJson(const Json& json);
};

inline constexpr int kAgentSetupFd = 3;
inline constexpr int kAgentDataKeyFd = 4;
inline constexpr int kAgentManifestFd = 5;
inline constexpr int kAgentReadyFd = 6;
inline constexpr int kAgentOverlayKeyFd = 7;
inline constexpr int kAgentOverlayLockFd = 8;
inline constexpr int kAgentLifeFd = 9;

}  // namespace morsel
