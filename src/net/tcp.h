// SPDX-License-Identifier: Apache-2.0
// TCP sockets: addresses, listening, and connecting without waiting.
//
// An address is "host:port" or "[v6 address]:port". The sockets are
// non-blocking, close-on-exec, and send small messages at once (TCP_NODELAY).
//
// Thread safety: free functions; a value.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  bool is_loopback() const;
  uint16_t port() const;
  // "10.0.0.1:11311", "[::1]:11311".
  std::string ToString() const;
};

// The host of "host:port", without brackets. kInvalid: no such form.
Result<std::string> HostOf(std::string_view address);

// The first address of a name. May ask the resolver, which blocks. kInvalid: no
// such form; kUnavailable: the name does not resolve.
Result<SocketAddress> ResolveAddress(std::string_view address);

// kUnavailable: the address is taken or not of this machine.
Result<Fd> ListenOn(const SocketAddress& address, int backlog);
// Where a socket is bound, for port 0.
Result<SocketAddress> BoundAddress(int socket);
// The next connection; no value if there is none now. kExhausted: no
// descriptors are left.
Result<std::optional<Fd>> AcceptConnection(int listener);

// Begins to connect: the socket becomes writable when that is decided, then
// ConnectError tells how. kUnavailable: refused at once.
Result<Fd> BeginConnect(const SocketAddress& address);
// Ok once connected. kUnavailable with the reason.
Status ConnectError(int socket);

}  // namespace morsel
