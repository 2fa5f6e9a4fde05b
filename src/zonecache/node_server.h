// SPDX-License-Identifier: Apache-2.0
// NodeServer: a node of the zone cache. A bounded pool of threads waits on one
// epoll itself; a socket that is ready belongs to the thread that took its
// event until that arms it again (EPOLLONESHOT), so nothing is handed over.
//
// A thread that reads from flash waits for the device, so there are more
// threads than cores.
//
// Thread safety: Run is called once; the rest is thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/result.h"
#include "net/stream.h"
#include "zonecache/memcache_commands.h"

namespace morsel {

struct NodeServerOptions {
  uint32_t threads = 4;
  // More are closed as soon as they come.
  uint32_t max_connections = 1024;
  // What was executed before Stop has so long to be sent.
  std::chrono::milliseconds drain_timeout{5000};
  // Makes a stream of an accepted socket; null: plain.
  std::function<Result<std::unique_ptr<Stream>>(Fd socket)> accept;
  // Whether the other side may delete and flush; asked once it is known who it
  // is. Null: everybody may.
  std::function<bool(const Stream& stream)> is_operator;
};

class NodeServer {
 public:
  virtual ~NodeServer() = default;

  // `listener` listens and does not block. `node` must outlive it. kIo.
  static Result<std::unique_ptr<NodeServer>> Make(
      const NodeServerOptions& options, Fd listener, NodeParts& node);

  // Serves until Stop; then sends what is not sent yet and closes. kIo.
  virtual Status Run() = 0;
  // Callable from any thread, and from a signal handler.
  virtual void Stop() = 0;
};

}  // namespace morsel
