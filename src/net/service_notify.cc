// SPDX-License-Identifier: Apache-2.0
#include "net/service_notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <string>

namespace morsel {

ServiceNotify ServiceNotify::Open() {
  ServiceNotify notify;
  const char* const name = std::getenv("NOTIFY_SOCKET");
  const std::string path = name == nullptr ? "" : name;
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof(where.sun_path) ||
      (path[0] != '/' && path[0] != '@'))
    return notify;
  path.copy(where.sun_path, path.size());
  if (path[0] == '@') where.sun_path[0] = '\0';  // an abstract name
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  Fd made(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (made && connect(made.get(), reinterpret_cast<const sockaddr*>(&where),
                      length) == 0)
    notify.socket_ = std::move(made);
  return notify;
}

void ServiceNotify::Say(std::string_view text) const {
  if (!socket_) return;
  // Who does not listen misses it.
  [[maybe_unused]] const ssize_t sent =
      send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace morsel
