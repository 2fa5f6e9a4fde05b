// SPDX-License-Identifier: Apache-2.0
#include "zonecache/node_server.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "net/tcp.h"
#include "zonecache/memcache_session.h"

namespace morsel {
namespace {

// A busy connection gives way to the others after so many reads.
constexpr int kReadsPerTurn = 16;
constexpr size_t kPartsPerWrite = 16;

struct Connection {
  explicit Connection(NodeParts& node) : session(node) {}

  std::unique_ptr<Stream> stream;
  MemcacheSession session;
  bool knows_peer = false;
  // Held while the socket is armed, and taken by the thread that takes its next
  // event: so that one sees all that this one did, and does not close the
  // descriptor under the call that arms it.
  Mutex turn;
};

class Server final : public NodeServer {
 public:
  Server(const NodeServerOptions& options, Fd listener, NodeParts& node)
      : options_(options), listener_(std::move(listener)), node_(node) {
    if (!options_.accept)
      options_.accept = [](Fd socket) {
        return Result<std::unique_ptr<Stream>>(
            MakePlainStream(std::move(socket)));
      };
  }

  Status Begin() {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    stop_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!epoll_ || !stop_) return ErrnoError(errno, "zone cache node: epoll");
    RETURN_IF_ERROR(Add(stop_.get(), EPOLLIN, &stop_));
    return Add(listener_.get(), EPOLLIN | EPOLLONESHOT, &listener_);
  }

  Status Run() override {
    node_.threads = options_.threads;
    {
      std::vector<std::jthread> threads;
      for (uint32_t i = 0; i < options_.threads; ++i)
        threads.emplace_back([this] { Work(); });
    }
    Drain();
    return Ok();
  }

  void Stop() override {
    const uint64_t one = 1;
    // A signal handler may be here: nothing but write(2).
    [[maybe_unused]] const ssize_t count =
        write(stop_.get(), &one, sizeof(one));
  }

 private:
  Status Add(int fd, uint32_t events, void* tag) {
    epoll_event event{events, {.ptr = tag}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return ErrnoError(errno, "zone cache node: watch a socket");
    return Ok();
  }

  void Arm(int fd, uint32_t events, void* tag) {
    epoll_event event{events | EPOLLONESHOT, {.ptr = tag}};
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
  }

  void Work() {
    while (true) {
      // One event at a time: what a thread has taken nobody else can serve.
      epoll_event event{};
      if (epoll_wait(epoll_.get(), &event, 1, -1) != 1) continue;
      // The stop is never read, so every thread sees it.
      if (event.data.ptr == &stop_) return;
      if (event.data.ptr == &listener_) {
        Accept();
      } else {
        auto* connection = static_cast<Connection*>(event.data.ptr);
        if (!Serve(*connection)) Close(*connection);
      }
    }
  }

  void Accept() {
    while (true) {
      auto socket = AcceptConnection(listener_.get());
      if (!socket.ok()) {
        LogWarn("connection not accepted", {{"error", socket.error().message}});
        // Tried again when a connection closes.
        const MutexLock lock(mutex_);
        accept_rests_ = !connections_.empty();
        if (accept_rests_) return;
        break;
      }
      if (!socket->has_value()) break;
      Open(std::move(**socket));
    }
    Arm(listener_.get(), EPOLLIN, &listener_);
  }

  void Open(Fd socket) {
    auto stream = options_.accept(std::move(socket));
    if (!stream.ok()) {
      LogWarn("connection refused", {{"error", stream.error().message}});
      return;
    }
    auto connection = std::make_unique<Connection>(node_);
    connection->stream = std::move(stream).value();
    // Until it is known who it is.
    connection->session.SetOperator(options_.is_operator == nullptr);
    Connection* const raw = connection.get();
    {
      const MutexLock lock(mutex_);
      if (connections_.size() >= options_.max_connections) {
        ++node_.stats.connections_refused;
        return;
      }
      connections_.emplace(raw, std::move(connection));
    }
    ++node_.stats.connections;
    ++node_.stats.connections_now;
    if (!Add(raw->stream->fd(), EPOLLIN | EPOLLONESHOT, raw).ok()) Close(*raw);
  }

  void Close(Connection& connection) {
    std::unique_ptr<Connection> closed;
    const MutexLock lock(mutex_);
    const auto found = connections_.find(&connection);
    closed = std::move(found->second);
    connections_.erase(found);
    --node_.stats.connections_now;
    if (accept_rests_) {
      accept_rests_ = false;
      Arm(listener_.get(), EPOLLIN, &listener_);
    }
  }

  // False: close it.
  bool Serve(Connection& connection) {
    { const MutexLock lock(connection.turn); }
    Stream& stream = *connection.stream;
    for (int i = 0; i < kReadsPerTurn; ++i) {
      if (!Flush(connection)) return false;
      if (connection.session.unsent() > 0) return Wait(connection);
      if (connection.session.closing()) return false;
      const Result<size_t> count = stream.Read(connection.session.Room());
      if (!count.ok()) return false;
      if (*count == 0) return Wait(connection);
      node_.stats.bytes_read += *count;
      if (!connection.knows_peer && options_.is_operator != nullptr) {
        connection.session.SetOperator(options_.is_operator(stream));
        connection.knows_peer = true;
      }
      connection.session.Advance(*count);
    }
    if (!Flush(connection)) return false;
    // The others' turn; it may have more to read at once.
    Pass(connection, EPOLLIN | EPOLLOUT);
    return true;
  }

  bool Wait(Connection& connection) {
    const bool reads = connection.stream->awaited() == POLLIN;
    Pass(connection, reads ? EPOLLIN : EPOLLOUT);
    return true;
  }

  // From here on it belongs to whoever takes its next event.
  void Pass(Connection& connection, uint32_t events) {
    const MutexLock lock(connection.turn);
    Arm(connection.stream->fd(), events, &connection);
  }

  // Sends what can be sent now. False: the connection is broken.
  bool Flush(Connection& connection) {
    while (connection.session.unsent() > 0) {
      std::array<iovec, kPartsPerWrite> parts;
      const size_t count = connection.session.Gather(parts);
      const Result<size_t> sent =
          connection.stream->Write(std::span(parts).first(count));
      if (!sent.ok()) return false;
      if (*sent == 0) return true;
      node_.stats.bytes_written += *sent;
      connection.session.Sent(*sent);
    }
    return true;
  }

  // The threads are gone: sends what is left to who takes it.
  void Drain() {
    const auto end = node_.clock.Now() + options_.drain_timeout;
    decltype(connections_) left_open;
    {
      const MutexLock lock(mutex_);
      left_open.swap(connections_);
    }
    for (auto& [raw, connection] : left_open) {
      while (Flush(*connection) && connection->session.unsent() > 0) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - node_.clock.Now());
        if (left.count() <= 0) break;
        pollfd entry{connection->stream->fd(), connection->stream->awaited(),
                     0};
        (void)poll(&entry, 1, static_cast<int>(left.count()));
      }
    }
    node_.stats.connections_now = 0;
  }

  NodeServerOptions options_;
  Fd listener_;
  NodeParts& node_;
  Fd epoll_;
  Fd stop_;
  Mutex mutex_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_
      GUARDED_BY(mutex_);
  bool accept_rests_ GUARDED_BY(mutex_) = false;
};

}  // namespace

Result<std::unique_ptr<NodeServer>> NodeServer::Make(
    const NodeServerOptions& options, Fd listener, NodeParts& node) {
  auto server = std::make_unique<Server>(options, std::move(listener), node);
  RETURN_IF_ERROR(server->Begin());
  return std::unique_ptr<NodeServer>(std::move(server));
}

}  // namespace morsel
