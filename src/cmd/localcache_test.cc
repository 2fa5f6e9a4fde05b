// SPDX-License-Identifier: Apache-2.0
// morsel-localcache as a process, confined, over a folder.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <thread>

#include "base/process.h"
#include "localcache/server.h"
#include "localcache/source.h"
#include "localcache/test_chunks.h"
#include "net/unix_socket.h"
#include "origin/chunk_object.h"

namespace morsel {
namespace {

constexpr char kMemory[] = "16777216";

class LocalCacheProgram : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "localcache-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ASSERT_EQ(chmod(folder_.c_str(), 0755), 0);
    arena_ = Must(MakeArenaFile());
  }
  void TearDown() override {
    control_.Close();
    if (child_.pid > 0) (void)WaitChild(child_);
    std::filesystem::remove_all(folder_);
  }

  TestChunk AddChunk(uint64_t number) {
    TestChunk chunk = MakeTestChunk(number);
    const std::string path =
        folder_ + "/" + ChunkKey(chunk.ref.root, chunk.ref.name);
    const auto parent = std::filesystem::path(path).parent_path();
    EXPECT_TRUE(MakeDirectories(parent.string(), 0755).ok());
    EXPECT_TRUE(WriteFileAtomically(path, chunk.bytes, 0644).ok());
    return chunk;
  }

  // Starts the daemon; what its first client gets.
  LocalCacheChannel Start() {
    auto client = Must(MakeSocketPair());
    auto control = Must(MakeSocketPair());
    SpawnOptions options;
    options.argv = {MORSEL_PROGRAM, "--origin",    folder_, "--memory-bytes",
                    kMemory,        "--client-fd", "10",    "--control-fd",
                    "11",           "--arena-fd",  "12"};
    if (geteuid() == 0) {
      options.argv.push_back("--uid");
      options.argv.push_back("64642");
    }
    options.fds = {{client.second.get(), 10},
                   {control.second.get(), 11},
                   {arena_.get(), 12}};
    child_ = Must(Spawn(options));
    control_ = std::move(control.first);
    client.second.Close();
    return Must(LocalCacheSource::Handshake(std::move(client.first)));
  }

  std::string folder_;
  Fd arena_;
  Fd control_;
  Child child_;
};

Result<Bytes> Read(LocalCacheSource& client, const TestChunk& chunk) {
  ASSIGN_OR_RETURN(const ChunkView view, client.Get(chunk.ref, WantAll(chunk)));
  return view.Copy();
}

TEST_F(LocalCacheProgram, ServesAFolderToSeveralClientsAndEndsWithItsControl) {
  const auto first = Must(LocalCacheSource::Open(Start()));
  auto pair = Must(MakeSocketPair());
  ASSERT_TRUE(SendNewClient(control_.get(), pair.second).ok());
  const auto second = Must(LocalCacheSource::Open(
      Must(LocalCacheSource::Handshake(std::move(pair.first)))));
  for (uint64_t i = 0; i < 60; ++i) {
    const TestChunk chunk = AddChunk(i);
    EXPECT_EQ(Must(Read(*first, chunk)), chunk.bytes);
    EXPECT_EQ(Must(Read(*second, chunk)), chunk.bytes);
  }
  EXPECT_EQ(Read(*first, MakeTestChunk(99)).error().code, Code::kNotFound);
  control_.Close();
  EXPECT_EQ(Must(WaitChild(child_)), 0);
  child_ = Child();
}

TEST_F(LocalCacheProgram, AKilledDaemonIsReplacedUnderItsClient) {
  const auto client = Must(LocalCacheSource::Open(Start()));
  const TestChunk cached = AddChunk(1);
  EXPECT_EQ(Must(Read(*client, cached)), cached.bytes);
  for (uint64_t round = 0; round < 10; ++round) {
    const TestChunk missing = AddChunk(100 + round);
    // Stopped first, so that the miss surely waits when the daemon dies.
    ASSERT_EQ(kill(child_.pid, SIGSTOP), 0);
    std::jthread reader(
        [&] { EXPECT_EQ(Must(Read(*client, missing)), missing.bytes); });
    while (client->Stats().misses < 2 + round) std::this_thread::yield();
    EXPECT_EQ(Must(Read(*client, cached)), cached.bytes);
    ASSERT_EQ(kill(child_.pid, SIGKILL), 0);
    EXPECT_EQ(Must(WaitChild(child_)), 128 + SIGKILL);
    EXPECT_EQ(Must(Read(*client, cached)), cached.bytes);
    ASSERT_TRUE(client->Replace(Start()).ok());
  }
  EXPECT_EQ(client->Stats().misses, 11u);
}

TEST_F(LocalCacheProgram, SaysWhatIsDamagedInTheFolder) {
  const auto client = Must(LocalCacheSource::Open(Start()));
  TestChunk flipped = MakeTestChunk(1);
  AddChunk(1);
  const std::string path =
      folder_ + "/" + ChunkKey(flipped.ref.root, flipped.ref.name);
  flipped.bytes[0] ^= std::byte{1};
  ASSERT_TRUE(WriteFileAtomically(path, flipped.bytes, 0644).ok());
  EXPECT_EQ(Read(*client, flipped).error().code, Code::kCorrupt);
  ASSERT_EQ(truncate(path.c_str(), 100), 0);
  EXPECT_EQ(Read(*client, flipped).error().code, Code::kCorrupt);
}

TEST_F(LocalCacheProgram, EndsOnSigterm) {
  const auto client = Must(LocalCacheSource::Open(Start()));
  ASSERT_EQ(kill(child_.pid, SIGTERM), 0);
  EXPECT_EQ(Must(WaitChild(child_)), 0);
  child_ = Child();
}

TEST_F(LocalCacheProgram, RefusesWrongWords) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"--origin", "/"},
      {"--origin", "/", "--memory-bytes", kMemory},
      {"--origin", "/", "--memory-bytes", "x", "--client-fd", "10"},
      {"--origin", "/", "--memory-bytes", kMemory, "--client-fd", "77"},
      {"--nonsense"}};
  for (std::vector<std::string> words : wrong) {
    words.insert(words.begin(), MORSEL_PROGRAM);
    EXPECT_EQ(Must(RunCommand(words)).exit_code, 2);
  }
}

}  // namespace
}  // namespace morsel
