// SPDX-License-Identifier: Apache-2.0
// The daemon of the local cache (L1): answers misses of its clients from the
// next tier, puts what it verified into the arena, and drains their rings.
//
// A private daemon gets its clients from the guard that started it, by a
// control socket: each message is one byte, with one descriptor by SCM_RIGHTS,
// the socket of a further client. The shared daemon of a worker listens on a
// Unix socket: guards connect to it, ask for admission, and give the connection
// to their child. Admission is decided there and never later: past the limit
// of starts a new device is refused, while the reads of an admitted one always
// queue.
//
// If a daemon dies, the next one is given the same arena, and clients a new
// channel (LocalCacheSource::Replace).
//
// Thread safety: Run is called once; the rest is said at each class.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/result.h"
#include "localcache/arena_writer.h"
#include "localcache/fetch_pipeline.h"
#include "localcache/tier_metrics.h"

namespace morsel {

// For the starter: an empty memory file for --arena-fd. kIo, kExhausted.
Result<Fd> MakeArenaFile();
// For the starter: hands `client` to the daemon at the other end of `control`.
// kUnavailable: the daemon is gone.
Status SendNewClient(int control, const Fd& client);

struct ServerOptions {
  // Devices younger than 30 s at once: a further start is refused. 0: no limit.
  uint32_t max_starting = 0;
  // A client with more requests unanswered gets kExhausted for the next.
  uint32_t requests_per_client = 1024;
  // A client that leaves more bytes of answers unread is closed.
  uint64_t unread_bytes_per_client = 16 * kMiB;
  FetchOptions fetch;
  // Adds to the report that `morsel stat` gets; null: nothing. By the server's
  // thread.
  std::function<void(Json&)> add_to_report;
};

// Where clients come from; each may be none.
struct ServerEndpoints {
  // Sockets of admitted clients come here, by SendNewClient.
  Fd control;
  // A Unix socket that listens: who connects must be admitted first.
  Fd listener;
  // Connected and admitted.
  std::vector<Fd> clients;
  // The image of these, and of those who come by `control`, and where it was
  // when its device was attached; or nothing.
  std::string manifest_id;
  std::string root;
};

class LocalCacheServer {
 public:
  virtual ~LocalCacheServer() = default;
  // What is not in the arena is fetched from `tiers`, whose leases are told
  // which images are attached. kIo, kExhausted.
  static Result<std::unique_ptr<LocalCacheServer>> Make(
      const ServerOptions& options, const FetchTiers& tiers, ArenaWriter& arena,
      LocalCacheMetrics& metrics, Clock& clock, ServerEndpoints endpoints);

  // Serves until the control socket closes (with neither control nor listener:
  // until no client is left), or until Stop. kIo: epoll failed.
  virtual Status Run() = 0;
  // Makes Run answer what was asked, prefetches aside, and return. Callable
  // from any thread, and from a signal handler.
  virtual void Stop() = 0;
  // After Run: prefetches that nobody waits for are still running, and the
  // destructor would wait for them.
  virtual bool IsPrefetching() const = 0;
  // Takes another limit of starts. Thread-safe.
  virtual void SetMaxStarting(uint32_t max_starting) = 0;
};

}  // namespace morsel
