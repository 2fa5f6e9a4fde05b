// SPDX-License-Identifier: Apache-2.0
// The command line of morsel-localcache.
//
// Without words, or with --config FILE, it is the shared daemon of a worker,
// and everything comes from the settings. A guard that starts a private one
// says all of it in words; descriptors are inherited:
//
//   --origin ORIGIN        the origin (store/open_store.h)
//   --memory-bytes N       hard limit of the arena, metadata included
//   --origin-requests N    requests to the origin in flight (default 16)
//   --client-fd N          a connected SOCK_SEQPACKET socket: the first client
//   --control-fd N         a connected SOCK_SEQPACKET socket: each message is
//                          one byte, with one descriptor by SCM_RIGHTS, the
//                          socket of a further client (SendNewClient)
//   --arena-fd N           a memory file (MakeArenaFile) that outlives the
//                          daemon, to be handed to the next one after a death
//   --arena-path PATH      or a file on a tmpfs; neither: a memory file of its
//                          own, which dies with it
//   --uid N                run as this user and group (needs root; 0: stay)
//   --manifest ID          what its clients have, for a lease on it
//   --root ROOT            where that was when they were told
//   --worker NAME          who holds the lease
//
// There is no ready signal for a private one: the starter holds the other end
// of each socket and LocalCacheSource::Handshake waits on it. It exits with 0
// when the control socket is closed by the other side (without one: when its
// last client is gone), and on SIGTERM after it has answered what it was asked;
// with 1 and a log line on standard error if it cannot start; with 2 on wrong
// usage.
//
// Thread safety: values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "cache/policy.h"

namespace morsel {

struct LocalCacheWords {
  std::string origin;
  uint64_t memory_bytes = 0;
  uint32_t origin_requests = 16;
  uid_t uid = 0;
  std::string arena_path;
  std::string worker = "unnamed";  // IsHolderName
  // Of a private one.
  std::string manifest_id;  // empty: not known
  std::string root;
  Fd client;
  Fd control;
  Fd arena;
  // Of the shared one.
  bool is_shared = false;
  std::string config_path;  // as it was named
  std::string socket_path;
  gid_t gid = 0;
  PolicyKind policy = PolicyKind::kLruK;
  std::string flash_dir;
  uint64_t flash_bytes = 0;
  std::string metrics_listen;
};

// What may change while the daemon runs (SIGHUP).
struct LocalCacheTuning {
  uint32_t max_starting = 0;
  std::string origin_trial;
};

// kInvalid: wrong usage, or a setting that does not fit.
Result<LocalCacheWords> ParseLocalCacheWords(int argc, char** argv);
Result<LocalCacheTuning> ReadLocalCacheTuning(const std::string& config_path);

}  // namespace morsel
