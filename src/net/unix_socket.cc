// SPDX-License-Identifier: Apache-2.0
#include "net/unix_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

namespace morsel {
namespace {

struct alignas(cmsghdr) ControlBuffer {
  std::array<std::byte, CMSG_SPACE(kMaxFdsPerMessage * sizeof(int))> bytes;
};

Error SocketError(const char* what) {
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
    return MakeError(Code::kUnavailable,
                     std::string(what) + ": the other side is gone");
  return ErrnoError(errno, what);
}

// Waits until the socket may be ready for `events`.
Status WaitReady(int socket, short events, Deadline deadline) {
  using std::chrono::milliseconds;
  const auto left = std::chrono::ceil<milliseconds>(
      std::min(deadline - SystemClock().Now(),
               Deadline::duration(std::chrono::hours(1))));
  if (left.count() <= 0)
    return MakeError(Code::kTimeout, "unix socket: the deadline passed");
  pollfd entry{socket, events, 0};
  if (poll(&entry, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)
    return ErrnoError(errno, "poll unix socket");
  return Ok();
}

std::vector<Fd> TakeFds(msghdr& header) {
  std::vector<Fd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
       part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

Result<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(where.sun_path))
    return MakeError(Code::kInvalid, "'" + path + "' is no path of a socket: " +
                                         "at most 107 bytes");
  path.copy(where.sun_path, path.size());
  return where;
}

Result<Fd> MakeSocket(int flags) {
  Fd made(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!made) return ErrnoError(errno, "make a unix socket");
  return made;
}

}  // namespace

Result<std::pair<Fd, Fd>> MakeSocketPair() {
  std::array<int, 2> fds{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0)
    return ErrnoError(errno, "socketpair");
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

Result<Fd> ListenAtPath(const std::string& path, mode_t mode, gid_t gid) {
  ASSIGN_OR_RETURN(const sockaddr_un where, AddressOf(path));
  ASSIGN_OR_RETURN(Fd listener, MakeSocket(SOCK_NONBLOCK));
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return ErrnoError(errno, "unlink " + path);
  // Closed to all until mode and group are set.
  const mode_t mask = umask(0777);
  const int bound = bind(
      listener.get(), reinterpret_cast<const sockaddr*>(&where), sizeof(where));
  const int error = errno;
  umask(mask);
  if (bound != 0) return ErrnoError(error, "bind " + path);
  if (gid != 0 && chown(path.c_str(), static_cast<uid_t>(-1), gid) != 0)
    return ErrnoError(errno, "chown " + path);
  if (chmod(path.c_str(), mode) != 0 || listen(listener.get(), 1024) != 0)
    return ErrnoError(errno, "listen at " + path);
  return listener;
}

Result<std::optional<Fd>> TryAccept(int listener) {
  Fd socket(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (socket) return std::optional<Fd>(std::move(socket));
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ECONNABORTED ||
      errno == EINTR)
    return std::optional<Fd>();
  return ErrnoError(errno, "accept");
}

Result<Fd> ConnectToPath(const std::string& path) {
  ASSIGN_OR_RETURN(const sockaddr_un where, AddressOf(path));
  // Not blocking, so that a full queue is an answer and not a wait.
  ASSIGN_OR_RETURN(Fd socket, MakeSocket(SOCK_NONBLOCK));
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&where),
              sizeof(where)) != 0) {
    if (errno == ECONNREFUSED || errno == EAGAIN)
      return MakeError(Code::kUnavailable,
                       "nobody answers at " + path + "; is it running?");
    return ErrnoError(errno, "connect to " + path);
  }
  if (fcntl(socket.get(), F_SETFL, 0) != 0)
    return ErrnoError(errno, "connect to " + path);
  return socket;
}

Result<bool> TrySendMessage(int socket, ByteSpan bytes,
                            std::span<const int> fds) {
  CHECK(!bytes.empty() && fds.size() <= kMaxFdsPerMessage);
  iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  ControlBuffer control{};
  if (!fds.empty()) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  while (sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return SocketError("send on unix socket");
  }
  return true;
}

Status SendMessage(int socket, ByteSpan bytes, std::span<const int> fds,
                   Deadline deadline) {
  while (true) {
    ASSIGN_OR_RETURN(const bool sent, TrySendMessage(socket, bytes, fds));
    if (sent) return Ok();
    RETURN_IF_ERROR(WaitReady(socket, POLLOUT, deadline));
  }
}

Result<std::optional<ReceivedMessage>> TryReceiveMessage(
    int socket, MutableByteSpan buffer) {
  iovec part{buffer.data(), buffer.size()};
  ControlBuffer control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  ssize_t count = 0;
  while ((count = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) <
         0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      return std::optional<ReceivedMessage>();
    if (errno != EINTR) return SocketError("receive on unix socket");
  }
  ReceivedMessage message{static_cast<size_t>(count), TakeFds(header)};
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return MakeError(Code::kInvalid,
                     "receive on unix socket: the message is "
                     "longer than any that is expected");
  if (count == 0)
    return MakeError(Code::kUnavailable,
                     "receive on unix socket: the other side is gone");
  return std::optional(std::move(message));
}

Result<ReceivedMessage> ReceiveMessage(int socket, MutableByteSpan buffer,
                                       Deadline deadline) {
  while (true) {
    ASSIGN_OR_RETURN(auto message, TryReceiveMessage(socket, buffer));
    if (message.has_value()) return std::move(*message);
    RETURN_IF_ERROR(WaitReady(socket, POLLIN, deadline));
  }
}

}  // namespace morsel
