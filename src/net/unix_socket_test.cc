// SPDX-License-Identifier: Apache-2.0
#include "net/unix_socket.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

namespace morsel {
namespace {

// A guard against a hang, no measure.
Deadline Soon() { return SystemClock().Now() + std::chrono::minutes(2); }
Deadline Past() { return SystemClock().Now() - std::chrono::seconds(1); }

TEST(UnixSocket, KeepsMessagesApartAndCarriesDescriptors) {
  auto pair = MakeSocketPair();
  ASSERT_TRUE(pair.ok());
  auto file = MakeMemoryFile("x", AsBytes("carried"));
  ASSERT_TRUE(file.ok());
  const std::array<int, 1> fds{file->get()};
  ASSERT_TRUE(SendMessage(pair->first.get(), AsBytes("one"), fds, Soon()).ok());
  ASSERT_TRUE(SendMessage(pair->first.get(), AsBytes("two!"), {}, Soon()).ok());

  std::array<std::byte, 16> buffer{};
  auto one = ReceiveMessage(pair->second.get(), buffer, Soon());
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(AsText(ByteSpan(buffer).first(one->byte_count)), "one");
  ASSERT_EQ(one->fds.size(), 1u);
  std::array<std::byte, 7> carried{};
  ASSERT_TRUE(ReadFullAt(one->fds[0].get(), 0, carried).ok());
  EXPECT_EQ(AsText(carried), "carried");
  auto two = ReceiveMessage(pair->second.get(), buffer, Soon());
  ASSERT_TRUE(two.ok());
  EXPECT_EQ(two->byte_count, 4u);
}

TEST(UnixSocket, SaysThatTheOtherSideIsGone) {
  auto pair = MakeSocketPair();
  ASSERT_TRUE(pair.ok());
  pair->second.Close();
  std::array<std::byte, 16> buffer{};
  EXPECT_EQ(ReceiveMessage(pair->first.get(), buffer, Soon()).error().code,
            Code::kUnavailable);
  EXPECT_EQ(
      SendMessage(pair->first.get(), AsBytes("x"), {}, Soon()).error().code,
      Code::kUnavailable);
}

TEST(UnixSocket, TimesOutAndRefusesLongMessages) {
  auto pair = MakeSocketPair();
  ASSERT_TRUE(pair.ok());
  std::array<std::byte, 4> buffer{};
  EXPECT_EQ(ReceiveMessage(pair->first.get(), buffer, Past()).error().code,
            Code::kTimeout);
  ASSERT_TRUE(
      SendMessage(pair->second.get(), AsBytes("too long"), {}, Soon()).ok());
  EXPECT_EQ(ReceiveMessage(pair->first.get(), buffer, Soon()).error().code,
            Code::kInvalid);
  const Bytes block(64 * kKiB);
  while (true) {
    auto sent = TrySendMessage(pair->first.get(), block, {});
    ASSERT_TRUE(sent.ok());
    if (!*sent) break;
  }
  EXPECT_EQ(SendMessage(pair->first.get(), block, {}, Past()).error().code,
            Code::kTimeout);
}

TEST(UnixSocket, ClosesDescriptorsOfARefusedMessage) {
  auto pair = MakeSocketPair();
  auto pipe_pair = MakeSocketPair();
  ASSERT_TRUE(pair.ok() && pipe_pair.ok());
  const std::array<int, 1> fds{pipe_pair->first.get()};
  ASSERT_TRUE(
      SendMessage(pair->first.get(), AsBytes("too long"), fds, Soon()).ok());
  std::array<std::byte, 2> buffer{};
  EXPECT_FALSE(ReceiveMessage(pair->second.get(), buffer, Soon()).ok());
  pipe_pair->first.Close();
  EXPECT_EQ(
      ReceiveMessage(pipe_pair->second.get(), buffer, Soon()).error().code,
      Code::kUnavailable);
}

TEST(UnixSocket, ConnectsByPathAndReplacesWhatWasLeftThere) {
  const std::string path =
      testing::TempDir() + "/unix-" + std::to_string(getpid());
  EXPECT_EQ(ConnectToPath(path).error().code, Code::kNotFound);
  for (int i = 0; i < 2; ++i) {
    const auto listener = ListenAtPath(path, 0600, 0);
    ASSERT_TRUE(listener.ok());
    const auto none = TryAccept(listener->get());
    ASSERT_TRUE(none.ok());
    EXPECT_FALSE(none->has_value());
    const auto client = ConnectToPath(path);
    ASSERT_TRUE(client.ok());
    const auto accepted = TryAccept(listener->get());
    ASSERT_TRUE(accepted.ok() && accepted->has_value());
    ASSERT_TRUE(SendMessage(client->get(), AsBytes("hello"), {}, Soon()).ok());
    Bytes buffer(16);
    const auto message = TryReceiveMessage((*accepted)->get(), buffer);
    ASSERT_TRUE(message.ok() && message->has_value());
    EXPECT_EQ(AsText(ByteSpan(buffer).first((*message)->byte_count)), "hello");
  }
  EXPECT_EQ(ConnectToPath(path).error().code, Code::kUnavailable);
  EXPECT_EQ(ConnectToPath(std::string(200, 'x')).error().code, Code::kInvalid);
  unlink(path.c_str());
}

}  // namespace
}  // namespace morsel
