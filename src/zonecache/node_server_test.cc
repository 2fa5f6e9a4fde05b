// SPDX-License-Identifier: Apache-2.0
#include "zonecache/node_server.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>

#include "net/tcp.h"
#include "zonecache/zone_fixture.h"

namespace morsel {
namespace {

class NodeServerTest : public testing::Test {
 protected:
  void Start(NodeServerOptions options) {
    Fd listener = ListenOn(ResolveAddress("127.0.0.1:0").value(), 64).value();
    address_ = BoundAddress(listener.get())->ToString();
    server_ = NodeServer::Make(options, std::move(listener), node_).value();
    thread_ = std::jthread([this] { EXPECT_TRUE(server_->Run().ok()); });
  }
  void TearDown() override {
    if (server_ == nullptr) return;
    server_->Stop();
    thread_.join();
  }

  std::string Ask(const std::string& request) {
    const auto answer = AskServer(address_, request);
    return answer.ok() ? *answer : answer.error().message;
  }

  std::unique_ptr<TieredCache> cache_ =
      TieredCache::Make({.memory = {.max_bytes = 32 * kMiB}}, SystemClock())
          .value();
  NodeStats stats_;
  NodeParts node_{*cache_, stats_, SystemClock()};
  std::string address_;
  std::unique_ptr<NodeServer> server_;
  std::jthread thread_;
};

TEST_F(NodeServerTest, ServesManyConnectionsWithFewThreads) {
  Start({.threads = 2});
  std::vector<std::jthread> clients;
  for (int i = 0; i < 8; ++i)
    clients.emplace_back([this, i] {
      const std::string key = "key" + std::to_string(i);
      const std::string value(100'000 + i, static_cast<char>('a' + i));
      for (int round = 0; round < 20; ++round) {
        const std::string size = std::to_string(value.size());
        ASSERT_EQ(Ask("set " + key + " 0 0 " + size + "\r\n" + value + "\r\n"),
                  "STORED\r\n");
        ASSERT_TRUE(Ask("get " + key + "\r\n") == "VALUE " + key + " 0 " +
                                                      size + "\r\n" + value +
                                                      "\r\nEND\r\n");
      }
    });
  clients.clear();
  EXPECT_EQ(stats_.get_hits, 160U);
  EXPECT_EQ(stats_.connections, 320U);
}

TEST_F(NodeServerTest, ConnectionsOverTheLimitAreClosed) {
  Start({.threads = 1, .max_connections = 2});
  const SocketAddress where = ResolveAddress(address_).value();
  std::vector<Fd> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(BeginConnect(where).value());
    // Known to the server before the next one comes.
    while (stats_.connections_now < static_cast<uint64_t>(i) + 1)
      std::this_thread::yield();
  }
  EXPECT_EQ(AskServer(address_, "mn\r\n").error().code, Code::kUnavailable);
  EXPECT_EQ(stats_.connections_refused, 1U);
  held.pop_back();
  while (stats_.connections_now > 1) std::this_thread::yield();
  EXPECT_EQ(Ask("mn\r\n"), "MN\r\n");
}

TEST_F(NodeServerTest, WhatWasExecutedBeforeTheStopIsStillSent) {
  Start({.threads = 1});
  const std::string value(kMiB, 'v');
  ASSERT_EQ(Ask("set a 0 0 1048576\r\n" + value + "\r\n"), "STORED\r\n");
  // Far more than the sockets hold, so that most of it waits in the server.
  Fd socket = BeginConnect(ResolveAddress(address_).value()).value();
  pollfd entry{socket.get(), POLLOUT, 0};
  ASSERT_EQ(poll(&entry, 1, 60'000), 1);
  ASSERT_TRUE(WriteFull(socket.get(), AsBytes("get a a a a a a a a\r\n")).ok());
  while (stats_.get_hits < 2) std::this_thread::yield();
  server_->Stop();
  const auto stream = MakePlainStream(std::move(socket));
  size_t received = 0;
  std::string buffer(kMiB, '\0');
  while (true) {
    entry = {stream->fd(), POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, 60'000), 1);
    const std::array<iovec, 1> part{iovec{buffer.data(), buffer.size()}};
    const auto count = stream->Read(part);
    if (!count.ok()) break;
    received += *count;
  }
  EXPECT_GE(received, 2 * kMiB);
}

TEST_F(NodeServerTest, WhoIsNoOperatorIsTold) {
  Start({.threads = 1, .is_operator = [](const Stream&) { return false; }});
  EXPECT_EQ(Ask("flush_all\r\n"),
            "CLIENT_ERROR denied: this wants the operator's certificate\r\n");
}

}  // namespace
}  // namespace morsel
