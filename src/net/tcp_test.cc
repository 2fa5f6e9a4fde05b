// SPDX-License-Identifier: Apache-2.0
#include "net/tcp.h"

#include <gtest/gtest.h>
#include <poll.h>

#include "base/bytes.h"
#include "net/stream.h"

namespace morsel {
namespace {

// No test waits this long unless it hangs.
constexpr int kHangMs = 120'000;

void WaitFor(int fd, short events) {
  pollfd entry{fd, events, 0};
  ASSERT_EQ(poll(&entry, 1, kHangMs), 1);
}

struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

Pair Connect() {
  const SocketAddress any = ResolveAddress("127.0.0.1:0").value();
  const Fd listener = ListenOn(any, 1).value();
  const SocketAddress bound = BoundAddress(listener.get()).value();
  Fd client = BeginConnect(bound).value();
  WaitFor(listener.get(), POLLIN);
  Fd server = AcceptConnection(listener.get()).value().value();
  WaitFor(client.get(), POLLOUT);
  EXPECT_TRUE(ConnectError(client.get()).ok());
  return {MakePlainStream(std::move(client)),
          MakePlainStream(std::move(server))};
}

iovec PartOf(std::string& text) { return {text.data(), text.size()}; }

TEST(TcpTest, BytesArriveInTheOrderOfTheParts) {
  Pair pair = Connect();
  std::string one = "ab";
  std::string two = "cde";
  const std::array<iovec, 2> parts{PartOf(one), PartOf(two)};
  EXPECT_EQ(pair.client->Write(parts).value(), 5U);
  WaitFor(pair.server->fd(), POLLIN);
  std::string head(1, ' ');
  std::string tail(9, ' ');
  const std::array<iovec, 2> rooms{PartOf(head), PartOf(tail)};
  EXPECT_EQ(pair.server->Read(rooms).value(), 5U);
  EXPECT_EQ(head + tail.substr(0, 4), "abcde");
}

TEST(TcpTest, NothingToReadAndNoRoomToWriteSayWhatToWaitFor) {
  Pair pair = Connect();
  std::string text(kMiB, 'x');
  const std::array<iovec, 1> part{PartOf(text)};
  EXPECT_EQ(pair.client->Read(part).value(), 0U);
  EXPECT_EQ(pair.client->awaited(), POLLIN);
  while (pair.client->Write(part).value() > 0) continue;
  EXPECT_EQ(pair.client->awaited(), POLLOUT);
}

TEST(TcpTest, TheOthersEndIsUnavailable) {
  Pair pair = Connect();
  pair.client.reset();
  WaitFor(pair.server->fd(), POLLIN);
  std::string text(1, 'x');
  const std::array<iovec, 1> part{PartOf(text)};
  EXPECT_EQ(pair.server->Read(part).error().code, Code::kUnavailable);
}

TEST(TcpTest, APortWhereNobodyListensRefuses) {
  SocketAddress bound;
  {
    const Fd listener =
        ListenOn(ResolveAddress("127.0.0.1:0").value(), 1).value();
    bound = BoundAddress(listener.get()).value();
  }
  const Result<Fd> socket = BeginConnect(bound);
  if (socket.ok()) {
    WaitFor(socket->get(), POLLOUT);
    EXPECT_EQ(ConnectError(socket->get()).error().code, Code::kUnavailable);
  } else {
    EXPECT_EQ(socket.error().code, Code::kUnavailable);
  }
}

TEST(TcpTest, AnAddressThatIsTakenIsUnavailable) {
  const Fd listener =
      ListenOn(ResolveAddress("127.0.0.1:0").value(), 1).value();
  const auto again = ListenOn(BoundAddress(listener.get()).value(), 1);
  EXPECT_EQ(again.error().code, Code::kUnavailable);
}

TEST(TcpTest, AddressesAreReadAndPrinted) {
  const SocketAddress v4 = ResolveAddress("127.0.0.2:80").value();
  EXPECT_EQ(v4.ToString(), "127.0.0.2:80");
  EXPECT_EQ(v4.port(), 80);
  EXPECT_TRUE(v4.is_loopback());
  EXPECT_FALSE(ResolveAddress("10.0.0.1:80")->is_loopback());
  const SocketAddress v6 = ResolveAddress("[::1]:81").value();
  EXPECT_EQ(v6.ToString(), "[::1]:81");
  EXPECT_TRUE(v6.is_loopback());
  EXPECT_FALSE(ResolveAddress("[::]:81")->is_loopback());
  EXPECT_EQ(HostOf("[::1]:81").value(), "::1");
  for (const char* text : {"a", "a:", ":1", "::1:80", "[]:1", ""})
    EXPECT_EQ(ResolveAddress(text).error().code, Code::kInvalid) << text;
  EXPECT_EQ(ResolveAddress("no-such-host.invalid:1").error().code,
            Code::kUnavailable);
}

}  // namespace
}  // namespace morsel
