// SPDX-License-Identifier: Apache-2.0
// Exchange: one request to each of several nodes at once, and their answers in
// the order in which they come. The only place that waits on several sockets:
// a poll loop of its own (ARCHITECTURE.md, threads and waiting).
//
// What has not been answered when it ends goes back to the pools as owed.
//
// Thread safety: owned by one thread.
#pragma once

#include <sys/uio.h>

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "zonecache/node_pool.h"

namespace morsel {

class Exchange {
 public:
  struct Outcome {
    uint32_t place = 0;
    Result<Reply> reply;
  };

  explicit Exchange(Clock& clock) : clock_(clock) {}
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Begins to send. False if the node is passed over. What `request` points at
  // and the pool must outlive the exchange.
  bool Add(uint32_t place, NodePool& pool, std::vector<iovec> request);
  // The next answer, or failure of a node. No value: all have come, or the
  // deadline passed.
  std::optional<Outcome> Next(Deadline deadline);
  // The same of what is here by now, without waiting.
  std::optional<Outcome> NextArrived();
  // Requests that were sent and not answered.
  size_t pending() const { return calls_.size() + outcomes_.size(); }

 private:
  struct Call {
    uint32_t place = 0;
    NodePool* pool = nullptr;
    std::unique_ptr<NodeConnection> connection;
    std::vector<iovec> request;  // what is not sent yet
    bool touched = false;        // some of it is sent
    Deadline begun;
  };

  // True if the call goes on.
  bool Advance(Call& call);
  Status Send(Call& call);
  Result<std::optional<Reply>> Receive(Call& call);
  bool Fail(Call& call, const Error& error);
  Status Connect(Call& call);
  // Waits until a socket is ready; false at the deadline.
  bool Wait(Deadline deadline);
  // The same, for at most so long.
  void Poll(int timeout_ms);
  std::optional<Outcome> TakeOutcome();

  Clock& clock_;
  std::vector<Call> calls_;
  std::deque<Outcome> outcomes_;
};

}  // namespace morsel
