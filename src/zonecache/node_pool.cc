// SPDX-License-Identifier: Apache-2.0
#include "zonecache/node_pool.h"

#include <poll.h>

#include <algorithm>

#include "base/log.h"

namespace morsel {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{5000};
// How many connections in debt are looked at for one that is free by now.
constexpr int kDebtorsTried = 2;

milliseconds PauseAfter(uint32_t failures) {
  const uint32_t doublings = std::min<uint32_t>(failures, 10) - 1;
  return std::min(kFirstPause * (1 << doublings), kLongestPause);
}

}  // namespace

NodePool::NodePool(const std::string& address, const NodePoolOptions& options,
                   StreamMaker make_stream, Clock& clock)
    : address_(address),
      options_(options),
      make_stream_(std::move(make_stream)),
      clock_(clock) {
  const Result<SocketAddress> resolved = ResolveAddress(address);
  if (!resolved.ok()) {
    LogWarn("zone cache node has no address",
            {{"node", address}, {"error", resolved.error().message}});
    return;
  }
  resolved_ = *resolved;
  host_ = HostOf(address).value();
}

std::unique_ptr<NodeConnection> NodePool::Take() {
  for (int i = 0; i < kDebtorsTried; ++i) {
    std::unique_ptr<NodeConnection> connection = TakeIdle();
    if (connection == nullptr) break;
    const Result<bool> is_free = IsFree(*connection);
    if (!is_free.ok()) {
      Failed(std::move(connection), is_free.error());
    } else if (*is_free) {
      return connection;
    } else {
      Return(std::move(connection));
    }
  }
  if (resolved_ && MayConnect(clock_.Now())) return Connect();
  const MutexLock lock(mutex_);
  ++stats_.passed_over;
  return nullptr;
}

// The last one that is free, else the one that is longest in debt.
std::unique_ptr<NodeConnection> NodePool::TakeIdle() {
  const MutexLock lock(mutex_);
  if (idle_.empty()) return nullptr;
  const bool has_free = idle_.back()->owed == 0 && idle_.back()->connected;
  std::unique_ptr<NodeConnection> connection =
      std::move(has_free ? idle_.back() : idle_.front());
  if (has_free) {
    idle_.pop_back();
  } else {
    idle_.pop_front();
  }
  return connection;
}

Result<bool> NodePool::IsFree(NodeConnection& connection) const {
  if (connection.connected && connection.owed == 0) return true;
  const auto age = clock_.Now() - connection.since;
  if (!connection.connected) {
    pollfd entry{connection.stream->fd(), POLLOUT, 0};
    if (poll(&entry, 1, 0) == 1) {
      RETURN_IF_ERROR(ConnectError(connection.stream->fd()));
      connection.connected = true;
      return true;
    }
    if (age < options_.connect_timeout) return false;
    return MakeError(Code::kTimeout, "no connection within the time for it");
  }
  while (connection.owed > 0) {
    ASSIGN_OR_RETURN(const size_t count,
                     connection.stream->Read(connection.reader.Room()));
    if (count == 0) break;
    RETURN_IF_ERROR(connection.reader.Advance(count));
    while (connection.owed > 0 && connection.reader.Take()) --connection.owed;
  }
  if (connection.owed == 0) return true;
  if (age < options_.answer_timeout) return false;
  return MakeError(Code::kTimeout, "no answer within the time for it");
}

bool NodePool::MayConnect(Deadline now) {
  const MutexLock lock(mutex_);
  if (open_ >= options_.max_connections) return false;
  // A node that is down gets one attempt at a time.
  if (failures_in_row_ > 0 && (now < next_attempt_ || open_ > 0)) return false;
  ++open_;
  ++stats_.connects;
  return true;
}

std::unique_ptr<NodeConnection> NodePool::Connect() {
  auto connection = std::make_unique<NodeConnection>();
  connection->since = clock_.Now();
  Result<Fd> socket = BeginConnect(*resolved_);
  if (!socket.ok()) {
    Failed(std::move(connection), socket.error());
    return nullptr;
  }
  auto stream = make_stream_(std::move(socket).value(), host_);
  if (!stream.ok()) {
    Failed(std::move(connection), stream.error());
    return nullptr;
  }
  connection->stream = std::move(stream).value();
  return connection;
}

void NodePool::Return(std::unique_ptr<NodeConnection> connection) {
  const MutexLock lock(mutex_);
  if (connection->owed == 0 && connection->connected) {
    idle_.push_back(std::move(connection));
    return;
  }
  const auto place =
      std::find_if(idle_.begin(), idle_.end(), [&](const auto& other) {
        const bool in_debt = other->owed > 0 || !other->connected;
        return !in_debt || other->since > connection->since;
      });
  idle_.insert(place, std::move(connection));
}

void NodePool::Answered() {
  const MutexLock lock(mutex_);
  if (failures_in_row_ == 0) return;
  failures_in_row_ = 0;
  stats_.is_down = false;
  LogInfo("zone cache node answers again", {{"node", address_}});
}

void NodePool::Failed(std::unique_ptr<NodeConnection> connection,
                      const Error& cause) {
  connection.reset();
  std::deque<std::unique_ptr<NodeConnection>> dropped;
  const MutexLock lock(mutex_);
  ++stats_.failures;
  --open_;
  // Others that broke with the first one tell nothing new.
  if (failures_in_row_ == 0 || clock_.Now() >= next_attempt_) {
    ++failures_in_row_;
    next_attempt_ = clock_.Now() + PauseAfter(failures_in_row_);
    if (!stats_.is_down)
      LogWarn("zone cache node passed over",
              {{"node", address_}, {"error", cause.message}});
    stats_.is_down = true;
  }
  open_ -= static_cast<uint32_t>(idle_.size());
  idle_.swap(dropped);
}

NodePoolStats NodePool::Stats() const {
  const MutexLock lock(mutex_);
  NodePoolStats stats = stats_;
  stats.connections = open_;
  return stats;
}

}  // namespace morsel
