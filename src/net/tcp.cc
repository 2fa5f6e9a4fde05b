// SPDX-License-Identifier: Apache-2.0
#include "net/tcp.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"

namespace morsel {
namespace {

struct HostPort {
  std::string host;
  std::string port;
};

Result<HostPort> SplitAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  std::string_view host = address.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string_view::npos)
    host = {};
  if (colon == std::string_view::npos || host.empty() ||
      colon + 1 == address.size())
    return MakeError(Code::kInvalid, "address '" + std::string(address) +
                                         "': HOST:PORT is expected, "
                                         "[HOST]:PORT for IPv6");
  return HostPort{std::string(host), std::string(address.substr(colon + 1))};
}

Error Refused(const std::string& what, int error) {
  return MakeError(Code::kUnavailable, what + ": " + std::strerror(error));
}

void SendAtOnce(int socket) {
  const int one = 1;
  // A socket that is not TCP has no delay to switch off.
  (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

Result<Fd> MakeSocket(int family) {
  Fd socket_fd(
      socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket_fd) return ErrnoError(errno, "make a TCP socket");
  SendAtOnce(socket_fd.get());
  return socket_fd;
}

}  // namespace

bool SocketAddress::is_loopback() const {
  if (storage.ss_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, &storage, sizeof(v4));
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  sockaddr_in6 v6;
  std::memcpy(&v6, &storage, sizeof(v6));
  return storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

uint16_t SocketAddress::port() const {
  sockaddr_in v4;  // the port lies at the same place in both families
  std::memcpy(&v4, &storage, sizeof(v4));
  return ntohs(v4.sin_port);
}

std::string SocketAddress::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  std::array<char, 8> service{};
  sockaddr_storage copy = storage;
  if (getnameinfo(reinterpret_cast<sockaddr*>(&copy), length, host.data(),
                  host.size(), service.data(), service.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "(no address)";
  const std::string text(host.data());
  return (storage.ss_family == AF_INET6 ? "[" + text + "]" : text) + ":" +
         service.data();
}

Result<std::string> HostOf(std::string_view address) {
  ASSIGN_OR_RETURN(HostPort split, SplitAddress(address));
  return std::move(split.host);
}

Result<SocketAddress> ResolveAddress(std::string_view address) {
  ASSIGN_OR_RETURN(const HostPort split, SplitAddress(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(split.host.c_str(), split.port.c_str(), &hints, &found);
  if (error != 0)
    return MakeError(Code::kUnavailable, "address '" + std::string(address) +
                                             "': " + gai_strerror(error));
  SocketAddress result;
  std::memcpy(&result.storage, found->ai_addr, found->ai_addrlen);
  result.length = found->ai_addrlen;
  freeaddrinfo(found);
  return result;
}

Result<Fd> ListenOn(const SocketAddress& address, int backlog) {
  ASSIGN_OR_RETURN(Fd socket_fd, MakeSocket(address.storage.ss_family));
  const int one = 1;
  (void)setsockopt(socket_fd.get(), SOL_SOCKET, SO_REUSEADDR, &one,
                   sizeof(one));
  if (bind(socket_fd.get(), reinterpret_cast<const sockaddr*>(&address.storage),
           address.length) != 0 ||
      listen(socket_fd.get(), backlog) != 0)
    return Refused("listen on " + address.ToString(), errno);
  return socket_fd;
}

Result<SocketAddress> BoundAddress(int socket) {
  SocketAddress address;
  address.length = sizeof(address.storage);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage),
                  &address.length) != 0)
    return ErrnoError(errno, "getsockname");
  return address;
}

Result<std::optional<Fd>> AcceptConnection(int listener) {
  while (true) {
    Fd socket_fd(
        accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket_fd) {
      SendAtOnce(socket_fd.get());
      return std::optional<Fd>(std::move(socket_fd));
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return std::optional<Fd>();
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
        errno == ENOMEM)
      return MakeError(Code::kExhausted,
                       std::string("accept: ") + std::strerror(errno));
    // The connection that was to be accepted broke: the next one.
    if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
      return ErrnoError(errno, "accept");
  }
}

Result<Fd> BeginConnect(const SocketAddress& address) {
  ASSIGN_OR_RETURN(Fd socket_fd, MakeSocket(address.storage.ss_family));
  if (connect(socket_fd.get(),
              reinterpret_cast<const sockaddr*>(&address.storage),
              address.length) != 0 &&
      errno != EINPROGRESS && errno != EINTR)
    return Refused("connect to " + address.ToString(), errno);
  return socket_fd;
}

Status ConnectError(int socket) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
    error = errno;
  if (error != 0) return Refused("connect", error);
  return Ok();
}

}  // namespace morsel
