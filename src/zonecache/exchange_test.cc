// SPDX-License-Identifier: Apache-2.0
#include "zonecache/exchange.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>

#include "base/bytes.h"
#include "zonecache/node_pool.h"

namespace morsel {
namespace {

using std::chrono::minutes;

// A node that the test plays itself.
class ExchangeTest : public testing::Test {
 protected:
  ExchangeTest() {
    listener_ = ListenOn(ResolveAddress("127.0.0.1:0").value(), 16).value();
    pool_.emplace(
        BoundAddress(listener_.get())->ToString(),
        NodePoolOptions{.connect_timeout = minutes(1),
                        .answer_timeout = minutes(1)},
        [](Fd socket, const std::string&) -> Result<std::unique_ptr<Stream>> {
          return MakePlainStream(std::move(socket));
        },
        SystemClock());
  }
  void Ask(Exchange& exchange) {
    ASSERT_TRUE(exchange.Add(7, *pool_, {{request_.data(), request_.size()}}));
    pollfd entry{listener_.get(), POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, 60'000), 1);
    node_ = AcceptConnection(listener_.get()).value().value();
  }

  std::string request_ = "gets a\r\n";
  Fd listener_;
  Fd node_;
  std::optional<NodePool> pool_;
};

TEST_F(ExchangeTest, WhatHasArrivedIsTakenWithoutWaitingForTheRest) {
  Exchange exchange(SystemClock());
  Ask(exchange);
  EXPECT_FALSE(exchange.NextArrived().has_value());
  ASSERT_TRUE(WriteFull(node_.get(), AsBytes("VALUE a 0 4 9\r\nab")).ok());
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(exchange.NextArrived().has_value());
  EXPECT_EQ(exchange.pending(), 1U);
  ASSERT_TRUE(WriteFull(node_.get(), AsBytes("cd\r\nEND\r\n")).ok());
  std::optional<Exchange::Outcome> outcome;
  while (!outcome) {
    sched_yield();
    outcome = exchange.NextArrived();
  }
  EXPECT_EQ(outcome->place, 7U);
  ASSERT_TRUE(outcome->reply.ok());
  EXPECT_EQ(AsText(outcome->reply->value), "abcd");
  EXPECT_EQ(exchange.pending(), 0U);
  EXPECT_FALSE(exchange.NextArrived().has_value());
}

}  // namespace
}  // namespace morsel
