// SPDX-License-Identifier: Apache-2.0
#include "net/metrics_server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "base/log.h"

namespace morsel {
namespace {

constexpr size_t kMaxRequest = 8192;
constexpr std::chrono::seconds kPatience(5);

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

Result<Address> UnixAddress(const std::string& path) {
  Address address;
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(where.sun_path))
    return MakeError(Code::kInvalid,
                     "metrics: '" + path + "' is no path of a socket");
  path.copy(where.sun_path, path.size());
  std::memcpy(&address.storage, &where, sizeof(where));
  address.length = sizeof(where);
  return address;
}

Result<Address> InternetAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  const Error bad =
      MakeError(Code::kInvalid, "metrics.listen: '" + text +
                                    "' is neither ADDRESS:PORT, with a numeric "
                                    "address, nor unix:PATH");
  if (colon == std::string::npos) return bad;
  std::string host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (host.empty() || getaddrinfo(host.c_str(), text.substr(colon + 1).c_str(),
                                  &hints, &found) != 0)
    return bad;
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.length = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

int PortOf(int socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &length);
  if (storage.ss_family == AF_INET)
    return ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
  if (storage.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port);
  return 0;
}

// False: stop, or time is up.
bool WaitReadable(int fd, int stop, Deadline until) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - SystemClock().Now());
    std::array<pollfd, 2> polled = {pollfd{fd, POLLIN, 0},
                                    pollfd{stop, POLLIN, 0}};
    const int ready =
        poll(polled.data(), polled.size(),
             until == Deadline::max()
                 ? -1
                 : static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0 && polled[1].revents == 0;
  }
}

// The request's head; empty if none came.
std::string ReadHead(int client, int stop) {
  const Deadline until = SystemClock().Now() + kPatience;
  std::string head;
  std::array<char, 1024> buffer;
  while (head.find("\r\n\r\n") == std::string::npos) {
    if (head.size() > kMaxRequest || !WaitReadable(client, stop, until))
      return {};
    const ssize_t count = recv(client, buffer.data(), buffer.size(), 0);
    if (count <= 0) return {};
    head.append(buffer.data(), static_cast<size_t>(count));
  }
  return head;
}

void SendAll(int client, std::string_view text) {
  while (!text.empty()) {
    // SO_SNDTIMEO bounds each of these.
    const ssize_t count = send(client, text.data(), text.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    text.remove_prefix(static_cast<size_t>(count));
  }
}

std::string Response(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8"
         "\r\nConnection: close\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::Listen(
    const std::string& text) {
  constexpr std::string_view kUnix = "unix:";
  const bool is_unix = text.starts_with(kUnix);
  const std::string path = is_unix ? text.substr(kUnix.size()) : "";
  ASSIGN_OR_RETURN(const Address address,
                   is_unix ? UnixAddress(path) : InternetAddress(text));
  std::unique_ptr<MetricsServer> server(new MetricsServer);
  const auto* where = reinterpret_cast<const sockaddr*>(&address.storage);
  server->listener_ =
      Fd(socket(where->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  server->stop_ = Fd(eventfd(0, EFD_CLOEXEC));
  const int fd = server->listener_.get();
  if (fd < 0 || !server->stop_)
    return ErrnoError(errno, "metrics: make a socket");
  // What an ended daemon left behind; a live one is asked not to be doubled by
  // its own lock.
  if (is_unix) unlink(path.c_str());
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, where, address.length) != 0 || listen(fd, 16) != 0)
    return ErrnoError(errno, "metrics: listen on " + text);
  server->port_ = PortOf(fd);
  return server;
}

MetricsServer::~MetricsServer() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t count = write(stop_.get(), &one, sizeof(one));
}

void MetricsServer::Start(Metrics& metrics) {
  thread_ = std::jthread([this, &metrics] { Serve(metrics); });
}

void MetricsServer::Serve(Metrics& metrics) {
  while (WaitReadable(listener_.get(), stop_.get(), Deadline::max())) {
    const Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (client) Answer(client, metrics);
  }
}

void MetricsServer::Answer(const Fd& client, Metrics& metrics) {
  const timeval patience{kPatience.count(), 0};
  setsockopt(client.get(), SOL_SOCKET, SO_SNDTIMEO, &patience,
             sizeof(patience));
  const std::string head = ReadHead(client.get(), stop_.get());
  if (head.empty()) return;
  const bool known = head.starts_with("GET /metrics ");
  const bool is_get = head.starts_with("GET ");
  SendAll(client.get(),
          known    ? Response("200 OK", metrics.Text())
          : is_get ? Response("404 Not Found", "metrics are at /metrics\n")
                   : Response("405 Method Not Allowed", "only GET\n"));
}

}  // namespace morsel
