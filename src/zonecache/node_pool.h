// SPDX-License-Identifier: Apache-2.0
// NodePool: the connections to one node, and what is known of its health.
//
// A read leaves when k stripes are there, so an answer may still be on its way
// when its connection comes back: it is *owed*, and is read and thrown away
// when the connection is wanted again. If the node is slow, connections in debt
// pile up to the limit, and from then on the node is passed over: it costs its
// users nothing, and gets no more than so many requests.
//
// A connection that breaks, does not come about or owes for too long means that
// the node is down: its idle connections are dropped, and the next attempt to
// connect is made after a pause that doubles from 100 ms to 5 s, by whoever
// comes then, one at a time and beside his work. An answer ends all that.
// Nothing is retried.
//
// Thread safety: thread-safe; a NodeConnection is owned by one thread at a
// time.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "net/stream.h"
#include "net/tcp.h"
#include "zonecache/reply_reader.h"

namespace morsel {

// How a socket that connects becomes a stream: plain, or TLS to that host.
using StreamMaker = std::function<Result<std::unique_ptr<Stream>>(
    Fd socket, const std::string& host)>;

struct NodeConnection {
  std::unique_ptr<Stream> stream;
  ReplyReader reader;
  bool connected = false;
  uint32_t owed = 0;  // answers to come that nobody waits for
  Deadline since;     // begin of the attempt, or of the oldest debt
};

struct NodePoolOptions {
  uint32_t max_connections = 16;
  std::chrono::milliseconds connect_timeout{1000};
  // An answer that is owed for so long: the node hangs.
  std::chrono::milliseconds answer_timeout{2000};
};

struct NodePoolStats {
  uint64_t passed_over = 0;  // down, or all connections in debt
  uint64_t connects = 0;     // attempts
  uint64_t failures = 0;     // connections that broke or timed out
  uint32_t connections = 0;
  bool is_down = false;
};

class NodePool {
 public:
  // A node whose `address` does not resolve is down for ever.
  NodePool(const std::string& address, const NodePoolOptions& options,
           StreamMaker make_stream, Clock& clock);

  const std::string& address() const { return address_; }

  // A connection to send on, or one that is just being made; null: the node is
  // passed over. Never blocks.
  std::unique_ptr<NodeConnection> Take() EXCLUDES(mutex_);
  // After use; what is owed stands in it.
  void Return(std::unique_ptr<NodeConnection> connection) EXCLUDES(mutex_);
  // An answer came: the node is well.
  void Answered() EXCLUDES(mutex_);
  // The connection broke, or its time was up.
  void Failed(std::unique_ptr<NodeConnection> connection, const Error& cause)
      EXCLUDES(mutex_);

  NodePoolStats Stats() const EXCLUDES(mutex_);

 private:
  std::unique_ptr<NodeConnection> TakeIdle() EXCLUDES(mutex_);
  std::unique_ptr<NodeConnection> Connect() EXCLUDES(mutex_);
  bool MayConnect(Deadline now) EXCLUDES(mutex_);
  // Reads what is there of what is owed.
  Result<bool> IsFree(NodeConnection& connection) const;

  const std::string address_;
  const NodePoolOptions options_;
  const StreamMaker make_stream_;
  Clock& clock_;
  std::string host_;
  std::optional<SocketAddress> resolved_;

  mutable Mutex mutex_;
  // Free ones at the back, those in debt at the front, longest first.
  std::deque<std::unique_ptr<NodeConnection>> idle_ GUARDED_BY(mutex_);
  uint32_t open_ GUARDED_BY(mutex_) = 0;  // idle or taken
  uint32_t failures_in_row_ GUARDED_BY(mutex_) = 0;
  Deadline next_attempt_ GUARDED_BY(mutex_){};
  NodePoolStats stats_ GUARDED_BY(mutex_);
};

}  // namespace morsel
