// SPDX-License-Identifier: Apache-2.0
#include "net/metrics_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace morsel {
namespace {

Fd Connect(int port) {
  Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<uint16_t>(port));
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(
      connect(client.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)),
      0)
      << std::strerror(errno);
  return client;
}

std::string Ask(int port, const std::string& request) {
  const Fd client = Connect(port);
  EXPECT_TRUE(WriteFull(client.get(), AsBytes(request)).ok());
  std::string answer;
  Bytes buffer(65536);
  while (true) {
    const auto count = ReadUpTo(client.get(), buffer);
    if (!count.ok() || *count == 0) return answer;
    answer.append(AsText(ByteSpan(buffer).first(*count)));
  }
}

TEST(MetricsServer, GivesTheMetricsThatAreThereNow) {
  Metrics metrics;
  Counter& counter = metrics.MakeCounter("a_total", "A.");
  auto server = MetricsServer::Listen("127.0.0.1:0");
  ASSERT_TRUE(server.ok());
  (*server)->Start(metrics);
  counter.Add(7);
  const std::string answer =
      Ask((*server)->port(), "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("text/plain; version=0.0.4"), std::string::npos);
  EXPECT_TRUE(answer.ends_with(metrics.Text())) << answer;
  counter.Add();
  EXPECT_NE(Ask((*server)->port(), "GET /metrics HTTP/1.0\r\n\r\n")
                .find("\na_total 8\n"),
            std::string::npos);
}

TEST(MetricsServer, KnowsNothingElse) {
  Metrics metrics;
  auto server = MetricsServer::Listen("127.0.0.1:0");
  ASSERT_TRUE(server.ok());
  (*server)->Start(metrics);
  const int port = (*server)->port();
  EXPECT_TRUE(Ask(port, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
  EXPECT_TRUE(
      Ask(port, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
  EXPECT_EQ(Ask(port, std::string(20000, 'x')), "");
}

TEST(MetricsServer, EndsWhileAClientSaysNothing) {
  Metrics metrics;
  auto server = MetricsServer::Listen("127.0.0.1:0");
  ASSERT_TRUE(server.ok());
  (*server)->Start(metrics);
  const Fd silent = Connect((*server)->port());
  server->reset();
}

TEST(MetricsServer, RefusesWhatIsNoAddress) {
  for (const char* text : {"", "9464", "localhost:9464", "127.0.0.1:x",
                           "127.0.0.1", ":9464", "unix:"}) {
    const auto server = MetricsServer::Listen(text);
    ASSERT_FALSE(server.ok()) << text;
    EXPECT_EQ(server.error().code, Code::kInvalid) << text;
  }
}

TEST(MetricsServer, TwoDoNotShareAPort) {
  const auto first = MetricsServer::Listen("127.0.0.1:0");
  ASSERT_TRUE(first.ok());
  const auto second =
      MetricsServer::Listen("127.0.0.1:" + std::to_string((*first)->port()));
  EXPECT_FALSE(second.ok());
}

TEST(MetricsServer, ListensOnAUnixSocketAgain) {
  const std::string path =
      testing::TempDir() + "/metrics-" + std::to_string(getpid());
  for (int i = 0; i < 2; ++i) {
    const auto server = MetricsServer::Listen("unix:" + path);
    ASSERT_TRUE(server.ok());
    EXPECT_EQ((*server)->port(), 0);
  }
  unlink(path.c_str());
}

}  // namespace
}  // namespace morsel
