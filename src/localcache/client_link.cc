// SPDX-License-Identifier: Apache-2.0
#include "localcache/client_link.h"

#include <sys/socket.h>

#include <array>

#include "base/log.h"
#include "net/unix_socket.h"

namespace morsel {

// No send here waits, so the lock is held over no I/O that could.
bool ClientLink::SendWaiting() {
  while (!waiting_.empty() && !closed_) {
    const auto sent = TrySendMessage(socket_.get(), waiting_.front(), {});
    if (!sent.ok()) {
      CloseLocked();
      break;
    }
    if (!*sent) return false;
    waiting_bytes_ -= waiting_.front().size();
    waiting_.pop_front();
  }
  return true;
}

void ClientLink::Send(Bytes packet) {
  MutexLock lock(mutex_);
  if (closed_) return;
  waiting_bytes_ += packet.size();
  waiting_.push_back(std::move(packet));
  if (waiting_bytes_ > unread_limit_) {
    LogWarn("local cache client closed: it does not read its answers",
            {{"client", id_}, {"unread_bytes", waiting_bytes_}});
    return CloseLocked();
  }
  if (blocked_ || SendWaiting()) return;
  blocked_ = true;
  on_blocked_(*this);
}

bool ClientLink::Flush() {
  MutexLock lock(mutex_);
  blocked_ = !SendWaiting();
  return !blocked_;
}

void ClientLink::Close() {
  MutexLock lock(mutex_);
  CloseLocked();
}

bool ClientLink::is_closed() const {
  MutexLock lock(mutex_);
  return closed_;
}

void ClientLink::CloseLocked() {
  closed_ = true;
  waiting_.clear();
  waiting_bytes_ = 0;
  shutdown(socket_.get(), SHUT_RDWR);
}

Status ClientLink::Welcome(int arena_fd) {
  ASSIGN_OR_RETURN(ring_, HitRingDrain::Make());
  const std::array<int, 2> fds{arena_fd, ring_->file().get()};
  return SendWith(Encode(WelcomeMessage{}), fds);
}

Status ClientLink::SendVerdict(const VerdictMessage& verdict, int arena_fd) {
  return SendWith(Encode(verdict), std::array{arena_fd});
}

Status ClientLink::SendWith(const Bytes& packet, std::span<const int> fds) {
  MutexLock lock(mutex_);
  ASSIGN_OR_RETURN(const bool sent, TrySendMessage(socket_.get(), packet, fds));
  if (!sent) return MakeError(Code::kUnavailable, "no room for a greeting");
  return Ok();
}

}  // namespace morsel
