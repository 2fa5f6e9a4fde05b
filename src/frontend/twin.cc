// SPDX-License-Identifier: Apache-2.0
#include "frontend/twin.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "frontend/agent_files.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

// One packet of news: the kind, then the process id, little endian.
constexpr size_t kNewsSize = 5;

Result<Fd> OpenPidfd(pid_t pid) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return ErrnoError(errno, "pidfd_open");
  return fd;
}

void AwaitEnd(const Fd& pidfd) {
  pollfd polled{pidfd.get(), POLLIN, 0};
  while (::poll(&polled, 1, -1) < 1) continue;
}

// All that waits in the socket.
std::vector<TwinNews> ReadNews(const Fd& socket) {
  std::vector<TwinNews> all;
  while (true) {
    std::array<std::byte, kNewsSize> packet;
    auto message = TryReceiveMessage(socket.get(), packet);
    if (!message.ok() || !message->has_value()) return all;
    if ((*message)->byte_count != kNewsSize || (*message)->fds.size() != 2)
      continue;
    TwinNews news;
    news.kind = static_cast<TwinNews::Kind>(packet[0]);
    news.process.pid = static_cast<pid_t>(LoadLe<uint32_t>(&packet[1]));
    news.process.pidfd = std::move((*message)->fds[0]);
    news.socket = std::move((*message)->fds[1]);
    all.push_back(std::move(news));
  }
}

}  // namespace

Result<bool> Twin::Fork(Twin& twin, std::vector<TwinNews>& news) {
  ASSIGN_OR_RETURN(auto sockets, MakeSocketPair());
  ASSIGN_OR_RETURN(const Fd guard, OpenPidfd(::getpid()));
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoError(errno, "fork the guard's twin");
  if (pid > 0) {
    twin.process_ = {.pid = pid, .pidfd = {}};
    ASSIGN_OR_RETURN(twin.process_.pidfd, OpenPidfd(pid));
    twin.socket_ = std::move(sockets.first);
    return true;
  }
  sockets.first.Close();
  twin = {};
  AwaitEnd(guard);
  news = ReadNews(sockets.second);
  return false;
}

Twin Twin::Adopt(Child process, Fd socket) {
  Twin twin;
  twin.process_ = std::move(process);
  twin.socket_ = std::move(socket);
  return twin;
}

bool Twin::Tell(TwinNews::Kind kind, const Child& process, const Fd& socket) {
  if (!exists()) return false;
  std::array<std::byte, kNewsSize> packet;
  packet[0] = static_cast<std::byte>(kind);
  StoreLe(&packet[1], static_cast<uint32_t>(process.pid));
  const std::array<int, 2> fds = {process.pidfd.get(), socket.get()};
  const Result<bool> sent = TrySendMessage(socket_.get(), packet, fds);
  return sent.ok() && *sent;
}

void Twin::End() {
  if (!exists()) return;
  KillAndWait(process_);
  *this = {};
}

}  // namespace morsel
