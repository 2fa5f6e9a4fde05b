// SPDX-License-Identifier: Apache-2.0
// The way to the shared local cache of a worker, by the path of its socket:
// for guards, who ask for admission and give the connection to their child
// (LocalCacheSource::Handshake), and for `morsel stat`, which asks private ones
// too.
//
// Thread safety: free functions.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/result.h"
#include "localcache/protocol.h"

namespace morsel {

struct AdmittedConnection {
  Fd socket;
  pid_t daemon = -1;
  Fd pidfd;  // readable when that daemon has ended
  // The arena, read only; none from a daemon that does not send it. It can be
  // read while no daemon runs (LocalCacheChannel without a socket).
  Fd arena;
};

// kExhausted: refused for load; kUnavailable: no daemon is at `path`; kInvalid:
// one of another version; kTimeout, kDenied.
Result<AdmittedConnection> AskForAdmission(const std::string& path,
                                           const AdmitMessage& message,
                                           Deadline deadline);
// What it counts (LocalCacheMetrics::ToJson). Errors as above.
Result<Json> AskForReport(const std::string& path, Deadline deadline);
// The same over a new connection to any local cache.
Result<Json> AskForReport(const Fd& socket, Deadline deadline);

}  // namespace morsel
