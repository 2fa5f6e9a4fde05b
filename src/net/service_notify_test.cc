// SPDX-License-Identifier: Apache-2.0
#include "net/service_notify.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <string>

namespace morsel {
namespace {

TEST(ServiceNotify, TellsTheManagerThatItIsReady) {
  const std::string path =
      testing::TempDir() + "/notify-" + std::to_string(getpid());
  const Fd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(where.sun_path));
  path.copy(where.sun_path, path.size());
  ASSERT_EQ(
      bind(manager.get(), reinterpret_cast<sockaddr*>(&where), sizeof(where)),
      0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  ServiceNotify::Open().Ready();
  unsetenv("NOTIFY_SOCKET");
  std::array<char, 64> buffer;
  const ssize_t count = recv(manager.get(), buffer.data(), buffer.size(), 0);
  ASSERT_GT(count, 0);
  EXPECT_EQ(std::string(buffer.data(), static_cast<size_t>(count)), "READY=1");
  unlink(path.c_str());
}

TEST(ServiceNotify, SaysNothingWhereNobodyListens) {
  unsetenv("NOTIFY_SOCKET");
  ServiceNotify::Open().Ready();
  setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
  ServiceNotify::Open().Ready();
  unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace morsel
