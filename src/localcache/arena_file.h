// SPDX-License-Identifier: Apache-2.0
// Where the arena lies, and how the daemon comes to it.
//
// The file belongs to the daemon's user alone: whoever could write it could
// change what agents read. It outlives the daemon: an arena of the same size
// and layout is taken over with all that is in it; another one is left to
// those who still read it, and a new one begins.
//
// Thread safety: free functions.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "localcache/arena_writer.h"

namespace morsel {

struct ArenaPlace {
  Fd file;           // an inherited memory file; or
  std::string path;  // a file on a tmpfs; neither: a memory file of its own
  uint64_t limit_bytes = 0;
  uid_t uid = 0;  // who will own it; 0: who calls
};

// kInvalid: the path is not on a tmpfs, or the limit is out of range.
// kUnavailable: another daemon holds it. kDenied: the file is somebody else's.
// kExhausted, kIo.
Result<std::unique_ptr<ArenaWriter>> OpenArena(const ArenaPlace& place,
                                               const ArenaOptions& options,
                                               Clock& clock);

// RUN_DIR/localcache.arena if that lies on a tmpfs, else a file in /dev/shm
// with the name of `run_dir` in its own.
std::string DefaultArenaPath(const std::string& run_dir);

}  // namespace morsel
