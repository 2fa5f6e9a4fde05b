// SPDX-License-Identifier: Apache-2.0
// LocalCacheSource: the agent's side of the local cache (L1). A ChunkSource
// that answers hits from the shared arena without a system call, and asks
// morsel-localcache over its socket on a miss (docs/ARCHITECTURE.md, The life
// of a read).
//
// Thread safety: thread-safe.
#pragma once

#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "chunk/chunk_source.h"

namespace morsel {

// What the daemon sends to a new client: see localcache/protocol.h.
struct LocalCacheChannel {
  Fd socket;  // to the daemon, connected
  Fd arena;   // the arena, read only
  Fd ring;    // this client's ring of hits
};

struct LocalCacheStats {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t bytes_loaded = 0;  // stored lengths of the misses
  uint64_t retries = 0;       // a hit whose generation changed meanwhile
  uint64_t bad_pages = 0;
};

class LocalCacheSource : public ChunkSource {
 public:
  // Receives the channel over a socket that is connected to the daemon.
  // kUnavailable, kTimeout; kInvalid: another version of the protocol.
  static Result<LocalCacheChannel> Handshake(Fd socket);
  // Maps the arena and the ring, and starts the one thread that reads the
  // socket. All that needs a right is done here.
  static Result<std::unique_ptr<LocalCacheSource>> Open(
      LocalCacheChannel channel);

  virtual LocalCacheStats Stats() const = 0;
};

}  // namespace morsel
