// SPDX-License-Identifier: Apache-2.0
#include "zonecache/fault_proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "net/tcp.h"

namespace morsel {
namespace {

constexpr size_t kBuffer = 256 * kKiB;
constexpr size_t kDamageOver = 64;

void Block(int socket) {
  (void)fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) & ~O_NONBLOCK);
}

bool SendAll(int socket, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t count =
        send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace

Result<std::unique_ptr<FaultProxy>> FaultProxy::Start(
    const std::string& target) {
  ASSIGN_OR_RETURN(const SocketAddress any, ResolveAddress("127.0.0.1:0"));
  ASSIGN_OR_RETURN(Fd listener, ListenOn(any, 128));
  ASSIGN_OR_RETURN(const SocketAddress bound, BoundAddress(listener.get()));
  return std::unique_ptr<FaultProxy>(
      new FaultProxy(std::move(listener), target, bound.ToString()));
}

FaultProxy::FaultProxy(Fd listener, std::string target, std::string address)
    : listener_(std::move(listener)),
      target_(std::move(target)),
      address_(std::move(address)),
      thread_([this] { Accept(); }) {}

FaultProxy::~FaultProxy() {
  stop_ = true;
  shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
  CloseAll();
  std::list<Link> links;
  {
    const MutexLock lock(mutex_);
    links.swap(links_);
    stopped_.NotifyAll();
  }
}

void FaultProxy::Refuse(bool on) {
  refuse_ = on;
  if (on) CloseAll();
}

void FaultProxy::CloseAll() {
  const MutexLock lock(mutex_);
  for (Link& link : links_) {
    shutdown(link.client.get(), SHUT_RDWR);
    shutdown(link.server.get(), SHUT_RDWR);
  }
}

void FaultProxy::Accept() {
  while (!stop_) {
    pollfd entry{listener_.get(), POLLIN, 0};
    if (poll(&entry, 1, -1) != 1) continue;
    auto client = AcceptConnection(listener_.get());
    if (!client.ok()) return;
    if (client->has_value() && !refuse_ && !stop_) Begin(std::move(**client));
  }
}

void FaultProxy::Begin(Fd client) {
  const auto target = ResolveAddress(target_);
  if (!target.ok()) return;
  Result<Fd> server = BeginConnect(*target);
  if (!server.ok()) return;
  pollfd entry{server->get(), POLLOUT, 0};
  if (poll(&entry, 1, 5000) != 1 || !ConnectError(server->get()).ok()) return;
  Block(client.get());
  Block(server->get());
  std::list<Link> ended;  // joined outside of the lock
  const MutexLock lock(mutex_);
  for (auto link = links_.begin(); link != links_.end();) {
    const auto next = std::next(link);
    if (link->running == 0) ended.splice(ended.end(), links_, link);
    link = next;
  }
  Link& link = links_.emplace_back();
  link.client = std::move(client);
  link.server = std::move(server).value();
  link.up = std::jthread([this, &link] { CopyUp(link); });
  link.down = std::jthread([this, &link] { CopyDown(link); });
}

void FaultProxy::CopyUp(Link& link) {
  Bytes buffer(kBuffer);
  while (true) {
    const ssize_t count =
        recv(link.client.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0 ||
        !SendAll(link.server.get(),
                 ByteSpan(buffer).first(static_cast<size_t>(count))))
      break;
  }
  shutdown(link.server.get(), SHUT_RDWR);
  --link.running;
}

void FaultProxy::CopyDown(Link& link) {
  Bytes buffer(kBuffer);
  while (true) {
    const ssize_t count =
        recv(link.server.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) break;
    const auto size = static_cast<size_t>(count);
    if (const int64_t delay = delay_ms_; delay > 0) {
      if (!Pause(std::chrono::steady_clock::now() +
                 std::chrono::milliseconds(delay)))
        break;
    }
    if (damage_ && size > kDamageOver) buffer[size / 2] ^= std::byte{0x40};
    if (swallow_) continue;
    if (!SendAll(link.client.get(), ByteSpan(buffer).first(size))) break;
  }
  shutdown(link.client.get(), SHUT_RDWR);
  --link.running;
}

bool FaultProxy::Pause(std::chrono::steady_clock::time_point until) {
  const MutexLock lock(mutex_);
  while (!stop_ && stopped_.WaitUntil(mutex_, until)) continue;
  return !stop_;
}

}  // namespace morsel
