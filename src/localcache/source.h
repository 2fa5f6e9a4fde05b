// SPDX-License-Identifier: Apache-2.0
// LocalCacheSource: the agent's side of the local cache (L1). A ChunkSource
// that answers hits from the shared arena without a system call, lock or
// allocation, and asks morsel-localcache over its socket on a miss
// (docs/ARCHITECTURE.md, The life of a read).
//
// A miss waits until want.deadline: while the daemon is away, and while it
// answers kUnavailable, kExhausted or kTimeout (asked again each half second);
// from 5 s on that is logged. kNotFound and kCorrupt are final and come at
// once. When a view was invalid after use three times, set want.owned: the
// daemon then sends the bytes themselves.
//
// System calls after Open: sendmsg, recvmsg, poll, shutdown, futex, clock_*;
// in Replace also fstat, mmap, close.
//
// Thread safety: thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "chunk/chunk_source.h"

namespace morsel {

// What the daemon sends to a new client: see localcache/protocol.h.
struct LocalCacheChannel {
  Fd socket;  // to the daemon, connected; none: it is away
  Fd arena;   // the arena, read only
  Fd ring;    // this client's ring of hits
};

struct LocalCacheStats {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t bytes_loaded = 0;   // stored lengths of the chunks loaded
  uint64_t prefetched = 0;     // chunks that Prefetch asked for
  uint64_t chunks_loaded = 0;  // that came; for many who wait at once, one
  uint64_t retries = 0;        // a hit whose generation changed meanwhile
  uint64_t bad_pages = 0;
};

// Where hits, misses and loaded bytes are counted, if others look on: in memory
// that they share, so that the counts are never behind and outlive a kill.
struct LocalCacheCounters {
  std::atomic<uint64_t>& hits;
  std::atomic<uint64_t>& misses;
  std::atomic<uint64_t>& bytes_loaded;
  std::atomic<uint64_t>& prefetched;
  std::atomic<uint64_t>& chunks_loaded;
};

class LocalCacheSource : public ChunkSource {
 public:
  // Receives the channel over a socket that is connected to the daemon.
  // kUnavailable, kTimeout; kInvalid: another version of the protocol.
  static Result<LocalCacheChannel> Handshake(Fd socket);
  // Maps the arena and the ring, and starts the one thread that reads the
  // socket. All that needs a right is done here. Without a channel everything
  // waits for Replace; with one that has no socket what is not in the arena
  // does (an arena of another layout is then passed over). `counters` outlive
  // the source; without them it counts from 0.
  static Result<std::unique_ptr<LocalCacheSource>> Open(
      std::optional<LocalCacheChannel> channel,
      std::optional<LocalCacheCounters> counters = std::nullopt);

  // Takes a new channel after the daemon was restarted. Hits go on meanwhile;
  // misses that wait are asked again over the new channel. Maps at most the
  // new arena and ring (mmap, fstat, close); an arena that was mapped stays so
  // while this source lives, as views may point into it. A channel without a
  // socket is of use only to a source that has no arena yet: hits begin.
  // kInvalid: the channel is of another layout; the old one stays.
  virtual Status Replace(LocalCacheChannel channel) = 0;

  // Asks the daemon for those of `refs` that are not in the arena, in order and
  // a few at once, behind what anybody reads (Urgency::kPrefetch). A hint:
  // returns at once, forgets what fails, and begins when there is a daemon.
  // In the place of what an earlier call has not asked for yet.
  virtual void Prefetch(std::vector<ChunkRef> refs) = 0;

  // False from the moment that the daemon's end of the socket is closed until
  // Replace: it is down, or has cut this client off.
  virtual bool IsConnected() const = 0;

  virtual LocalCacheStats Stats() const = 0;
};

}  // namespace morsel
