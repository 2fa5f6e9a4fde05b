// SPDX-License-Identifier: Apache-2.0
#include "zonecache/node_pool.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "base/bytes.h"

namespace morsel {
namespace {

using std::chrono::milliseconds;

class ManualClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override { return now; }
  int64_t UnixSeconds() override { return 0; }
  std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
};

Result<std::unique_ptr<Stream>> Plain(Fd socket, const std::string&) {
  return MakePlainStream(std::move(socket));
}

// A node that the test plays itself.
class NodePoolTest : public testing::Test {
 protected:
  void Listen(const std::string& address) {
    listener_ = ListenOn(ResolveAddress(address).value(), 16).value();
    address_ = BoundAddress(listener_.get())->ToString();
  }

  // Takes a connection that is connected, and the node's end of it.
  std::unique_ptr<NodeConnection> TakeConnected(NodePool& pool) {
    auto connection = pool.Take();
    if (connection == nullptr || connection->connected) return connection;
    pollfd entry{connection->stream->fd(), POLLOUT, 0};
    EXPECT_EQ(poll(&entry, 1, 60'000), 1);
    connection->connected = true;
    entry = {listener_.get(), POLLIN, 0};
    EXPECT_EQ(poll(&entry, 1, 60'000), 1);
    ends_.push_back(AcceptConnection(listener_.get()).value().value());
    return connection;
  }

  // Lets the node's end number `index` say something, and waits until it is
  // there.
  void Say(size_t index, const NodeConnection& connection,
           std::string_view text) {
    ASSERT_TRUE(WriteFull(ends_[index].get(), AsBytes(text)).ok());
    pollfd entry{connection.stream->fd(), POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, 60'000), 1);
  }

  ManualClock clock_;
  NodePoolOptions options_{.max_connections = 2,
                           .connect_timeout = milliseconds(1000),
                           .answer_timeout = milliseconds(2000)};
  Fd listener_;
  std::string address_;
  std::vector<Fd> ends_;
};

TEST_F(NodePoolTest, ADeadNodeIsTriedAfterPausesThatDouble) {
  Listen("127.0.0.1:0");
  listener_.Close();
  NodePool pool(address_, options_, Plain, clock_);
  uint64_t expected = 0;
  for (const int pause : {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    // One attempt, which somebody finds refused, then silence.
    auto connection = pool.Take();
    if (connection != nullptr)
      pool.Failed(std::move(connection),
                  MakeError(Code::kUnavailable, "refused"));
    EXPECT_EQ(pool.Stats().connects, ++expected);
    clock_.now += milliseconds(pause - 1);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(pool.Take(), nullptr);
    EXPECT_EQ(pool.Stats().connects, expected);
    clock_.now += milliseconds(1);
  }
  EXPECT_TRUE(pool.Stats().is_down);
  EXPECT_EQ(pool.Stats().passed_over, 800U);
}

TEST_F(NodePoolTest, AConnectionIsUsedAgain) {
  Listen("127.0.0.1:0");
  NodePool pool(address_, options_, Plain, clock_);
  for (int i = 0; i < 10; ++i) pool.Return(TakeConnected(pool));
  EXPECT_EQ(pool.Stats().connects, 1U);
}

TEST_F(NodePoolTest, WhatIsOwedIsReadBeforeTheConnectionIsUsedAgain) {
  Listen("127.0.0.1:0");
  NodePool pool(address_, options_, Plain, clock_);
  auto connection = TakeConnected(pool);
  NodeConnection* const first = connection.get();
  connection->owed = 2;
  connection->since = clock_.now;
  pool.Return(std::move(connection));
  // Still owed: another one is made, and then there is no more.
  auto second = TakeConnected(pool);
  EXPECT_NE(second.get(), first);
  EXPECT_EQ(pool.Take(), nullptr);
  Say(0, *first, "END\r\nVALUE k 0 1 1\r\nx\r\nEN");
  EXPECT_EQ(pool.Take(), nullptr);
  Say(0, *first, "D\r\n");
  connection = pool.Take();
  EXPECT_EQ(connection.get(), first);
  EXPECT_EQ(connection->owed, 0U);
  pool.Return(std::move(connection));
  pool.Return(std::move(second));
}

TEST_F(NodePoolTest, ANodeThatOwesTooLongIsDownUntilItAnswers) {
  Listen("127.0.0.1:0");
  NodePool pool(address_, options_, Plain, clock_);
  auto connection = TakeConnected(pool);
  connection->owed = 1;
  connection->since = clock_.now;
  pool.Return(std::move(connection));
  clock_.now += milliseconds(2000);
  EXPECT_EQ(pool.Take(), nullptr);
  EXPECT_TRUE(pool.Stats().is_down);
  EXPECT_EQ(pool.Stats().connections, 0U);
  clock_.now += milliseconds(100);
  connection = TakeConnected(pool);
  ASSERT_NE(connection, nullptr);
  // One attempt at a time while it is down.
  EXPECT_EQ(pool.Take(), nullptr);
  pool.Answered();
  EXPECT_FALSE(pool.Stats().is_down);
  auto second = TakeConnected(pool);
  EXPECT_NE(second, nullptr);
  pool.Return(std::move(second));
  pool.Return(std::move(connection));
}

TEST_F(NodePoolTest, OneBrokenConnectionDropsTheIdleOnes) {
  Listen("127.0.0.1:0");
  NodePool pool(address_, options_, Plain, clock_);
  auto one = TakeConnected(pool);
  auto two = TakeConnected(pool);
  pool.Return(std::move(one));
  pool.Failed(std::move(two), MakeError(Code::kUnavailable, "reset"));
  EXPECT_EQ(pool.Stats().connections, 0U);
}

TEST_F(NodePoolTest, AnAddressThatDoesNotResolveIsPassedOver) {
  NodePool pool("no-such-host.invalid:1", options_, Plain, clock_);
  EXPECT_EQ(pool.Take(), nullptr);
  EXPECT_EQ(pool.Stats().connects, 0U);
}

}  // namespace
}  // namespace morsel
