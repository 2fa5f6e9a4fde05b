// SPDX-License-Identifier: Apache-2.0
// The daemon of the local cache (L1): answers misses of its clients from the
// next tier, puts what it verified into the arena, and drains their rings.
//
// morsel-localcache is started with these words; descriptors are inherited:
//
//   --origin DIR           the origin's folder
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
//
// There is no ready signal: the starter holds the other end of each socket and
// LocalCacheSource::Handshake waits on it. The daemon confines itself after it
// has opened everything. It exits with 0 when the control socket is closed by
// the other side (without one: when its last client is gone), and on SIGTERM
// after it has answered what it was asked; with 1 and a log line on standard
// error if it cannot start; with 2 on wrong usage. If it dies, start another
// with the same --arena-fd, and hand the new channel to
// LocalCacheSource::Replace.
//
// Thread safety: Run is called once; the rest is said at each class.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "chunk/chunk_source.h"
#include "localcache/arena_writer.h"

namespace morsel {

// For the starter: an empty memory file for --arena-fd. kIo, kExhausted.
Result<Fd> MakeArenaFile();
// For the starter: hands `client` to the daemon at the other end of `control`.
// kUnavailable: the daemon is gone.
Status SendNewClient(int control, const Fd& client);

struct ServerOptions {
  uint32_t origin_requests = 16;  // threads that fetch
  // The origin's source hashes each chunk itself; else it is done here.
  bool origin_verifies = false;
  // A client with more requests unanswered gets kExhausted for the next.
  uint32_t requests_per_client = 1024;
  // A client that leaves more bytes of answers unread is closed.
  uint64_t unread_bytes_per_client = 16 * kMiB;
};

struct ServerStats {
  uint64_t requests = 0;
  uint64_t origin_gets = 0;
  uint64_t origin_bytes = 0;
  uint64_t corrupt_chunks = 0;  // damaged copies that the origin gave
  uint64_t dropped_slots = 0;   // damaged slots of the arena
  uint64_t bad_messages = 0;    // clients closed for what they sent
};

class LocalCacheServer {
 public:
  virtual ~LocalCacheServer() = default;
  // `origin` is asked for what is not in the arena; what it gives is verified
  // here, unless the options say that it was. `clients` are connected sockets;
  // `control` may be none. kIo, kExhausted.
  static Result<std::unique_ptr<LocalCacheServer>> Make(
      const ServerOptions& options, ArenaWriter& arena, ChunkSource& origin,
      Clock& clock, Fd control, std::vector<Fd> clients);

  // Serves until the control socket closes (without one: until no client is
  // left), or until Stop. kIo: epoll failed.
  virtual Status Run() = 0;
  // Makes Run answer what was asked and return. Callable from any thread, and
  // from a signal handler.
  virtual void Stop() = 0;
  // Thread-safe.
  virtual ServerStats Stats() const = 0;
};

}  // namespace morsel
