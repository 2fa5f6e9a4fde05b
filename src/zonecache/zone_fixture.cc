// SPDX-License-Identifier: Apache-2.0
#include "zonecache/zone_fixture.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <thread>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "cache/tiered_cache.h"
#include "net/stream.h"
#include "net/tcp.h"
#include "zonecache/node_server.h"

namespace morsel {
namespace {

// No server needs this long unless the machine hangs.
constexpr int kHangMs = 60'000;

class Memcached final : public TestServer {
 public:
  Memcached(Child child, std::string address)
      : child_(std::move(child)), address_(std::move(address)) {}
  ~Memcached() override {
    kill(child_.pid, SIGKILL);
    (void)WaitChild(child_);
  }
  std::string address() const override { return address_; }

 private:
  const Child child_;
  const std::string address_;
};

class Node final : public TestServer {
 public:
  static Result<std::unique_ptr<TestServer>> Start() {
    auto node = std::make_unique<Node>();
    ASSIGN_OR_RETURN(
        node->cache_,
        TieredCache::Make({.memory = {.max_bytes = 64 * kMiB}}, SystemClock()));
    node->parts_ =
        std::make_unique<NodeParts>(*node->cache_, node->stats_, SystemClock());
    ASSIGN_OR_RETURN(const SocketAddress any, ResolveAddress("127.0.0.1:0"));
    ASSIGN_OR_RETURN(Fd listener, ListenOn(any, 64));
    ASSIGN_OR_RETURN(const SocketAddress bound, BoundAddress(listener.get()));
    node->address_ = bound.ToString();
    ASSIGN_OR_RETURN(
        node->server_,
        NodeServer::Make({.threads = 2}, std::move(listener), *node->parts_));
    node->thread_ =
        std::jthread([server = node->server_.get()] { (void)server->Run(); });
    return std::unique_ptr<TestServer>(std::move(node));
  }
  ~Node() override {
    if (server_ != nullptr) server_->Stop();
  }
  std::string address() const override { return address_; }

 private:
  std::unique_ptr<TieredCache> cache_;
  NodeStats stats_;
  std::unique_ptr<NodeParts> parts_;
  std::string address_;
  std::unique_ptr<NodeServer> server_;
  std::jthread thread_;
};

// Waits until memcached has written its port.
Result<std::string> ReadPort(const std::string& path, const Child& child) {
  constexpr std::string_view kLabel = "TCP INET: ";
  for (int waited = 0; waited < kHangMs; waited += 5) {
    if (const auto bytes = ReadWholeFile(path, kKiB); bytes.ok()) {
      const std::string text(AsText(*bytes));
      const size_t at = text.find(kLabel);
      const size_t end = text.find('\n');
      if (at != std::string::npos && end != std::string::npos)
        return text.substr(at + kLabel.size(), end - at - kLabel.size());
    }
    pollfd entry{child.pidfd.get(), POLLIN, 0};
    if (poll(&entry, 1, 5) == 1) break;
  }
  return MakeError(Code::kUnavailable, "memcached does not start");
}

bool IsWhole(const std::string& text) {
  if (!text.ends_with("\r\n")) return false;
  const size_t before = text.rfind("\r\n", text.size() - 3);
  const std::string last =
      text.substr(before == std::string::npos ? 0 : before + 2);
  return !last.starts_with("VALUE ") && !last.starts_with("STAT ");
}

}  // namespace

Result<std::unique_ptr<TestServer>> StartMemcached() {
  const std::string path = std::filesystem::temp_directory_path() /
                           ("morsel-memcached-" + RandomHex(SystemRandom(), 8));
  SpawnOptions options;
  options.argv = {"memcached", "-l",   "127.0.0.1", "-p", "-1", "-U", "0",
                  "-u",        "root", "-m",        "64", "-t", "2"};
  options.env = {"MEMCACHED_PORT_FILENAME=" + path};
  options.die_with_parent = true;
  ASSIGN_OR_RETURN(Child child, Spawn(options));
  const Result<std::string> port = ReadPort(path, child);
  std::filesystem::remove(path);
  if (!port.ok()) {
    kill(child.pid, SIGKILL);
    (void)WaitChild(child);
    return port.error();
  }
  return std::unique_ptr<TestServer>(
      std::make_unique<Memcached>(std::move(child), "127.0.0.1:" + *port));
}

Result<std::unique_ptr<TestServer>> StartNode() { return Node::Start(); }

Result<std::string> AskServer(const std::string& address,
                              const std::string& request) {
  ASSIGN_OR_RETURN(const SocketAddress where, ResolveAddress(address));
  ASSIGN_OR_RETURN(Fd socket, BeginConnect(where));
  pollfd entry{socket.get(), POLLOUT, 0};
  if (poll(&entry, 1, kHangMs) != 1)
    return MakeError(Code::kTimeout, "no connection");
  RETURN_IF_ERROR(ConnectError(socket.get()));
  const auto stream = MakePlainStream(std::move(socket));
  std::string rest = request;
  while (!rest.empty()) {
    const std::array<iovec, 1> part{iovec{rest.data(), rest.size()}};
    ASSIGN_OR_RETURN(const size_t count, stream->Write(part));
    rest.erase(0, count);
  }
  std::string answer;
  std::string buffer(64 * kKiB, '\0');
  while (!IsWhole(answer)) {
    entry = {stream->fd(), POLLIN, 0};
    if (poll(&entry, 1, kHangMs) != 1)
      return MakeError(Code::kTimeout, "no answer");
    const std::array<iovec, 1> part{iovec{buffer.data(), buffer.size()}};
    ASSIGN_OR_RETURN(const size_t count, stream->Read(part));
    answer.append(buffer, 0, count);
  }
  return answer;
}

}  // namespace morsel
