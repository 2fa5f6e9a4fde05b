// SPDX-License-Identifier: Apache-2.0
// The daemon's side of one client: its socket, its ring, and the answers that
// it has not read yet.
//
// Answers are sent at once while the socket has room, else they wait here, in
// order, until Flush; a client that does not read is closed rather than waited
// for.
//
// Thread safety: Send, Flush and Close are thread-safe; the rest belongs to
// the server's thread.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "localcache/protocol.h"
#include "localcache/ring.h"

namespace morsel {

class ClientLink {
 public:
  // `on_blocked` is called, once until the next Flush, when answers must wait
  // for room; it must not call back.
  ClientLink(uint64_t id, Fd socket, uint64_t unread_limit_bytes,
             std::function<void(const ClientLink&)> on_blocked)
      : id_(id),
        socket_(std::move(socket)),
        unread_limit_(unread_limit_bytes),
        on_blocked_(std::move(on_blocked)) {}

  // Who it is; nothing until it is admitted.
  struct Device {
    std::string name;
    Deadline attached{};
    std::string manifest_id;  // of its image; empty: not known
  };
  void Admit(Device device) { device_ = std::move(device); }
  bool admitted() const { return device_.has_value(); }
  // Requires: admitted().
  const Device& device() const { return *device_; }

  uint64_t id() const { return id_; }
  int socket() const { return socket_.get(); }

  void Send(Bytes packet) EXCLUDES(mutex_);
  // Sends what waits. False: there is still no room.
  bool Flush() EXCLUDES(mutex_);
  // Ends the connection: the client sees it at once, and nothing more is sent.
  void Close() EXCLUDES(mutex_);

  // Says that it is admitted, with the arena, for later.
  Status SendVerdict(const VerdictMessage& verdict, int arena_fd)
      EXCLUDES(mutex_);
  bool is_closed() const EXCLUDES(mutex_);

  // Greets back, with the arena and a new ring.
  Status Welcome(int arena_fd) EXCLUDES(mutex_);
  bool welcomed() const { return ring_.has_value(); }
  // Requires: welcomed().
  HitRingDrain& ring() { return *ring_; }

  // Requests without an answer yet.
  std::atomic<uint32_t> pending{0};
  // The room that its prefetches took, in whole pieces; of the server's thread.
  uint64_t prefetched_bytes = 0;

 private:
  // For a socket that has room still. kUnavailable: it has none.
  Status SendWith(const Bytes& packet, std::span<const int> fds)
      EXCLUDES(mutex_);
  void CloseLocked() REQUIRES(mutex_);
  // False: no room.
  bool SendWaiting() REQUIRES(mutex_);

  const uint64_t id_;
  const Fd socket_;
  const uint64_t unread_limit_;
  const std::function<void(const ClientLink&)> on_blocked_;
  std::optional<HitRingDrain> ring_;
  std::optional<Device> device_;

  mutable Mutex mutex_;
  std::deque<Bytes> waiting_ GUARDED_BY(mutex_);
  uint64_t waiting_bytes_ GUARDED_BY(mutex_) = 0;
  bool blocked_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace morsel
