// SPDX-License-Identifier: Apache-2.0
// The daemon and an image that moves to another root, over real sockets.
#include <gtest/gtest.h>

#include <thread>

#include "localcache/lease_keeper.h"
#include "localcache/server.h"
#include "localcache/source.h"
#include "localcache/test_chunks.h"
#include "net/unix_socket.h"
#include "origin/document.h"
#include "origin/record_store.h"
#include "origin/records.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

constexpr const char* kOld = "r111111111111";
constexpr const char* kNew = "r222222222222";

class FollowTest : public testing::Test {
 protected:
  FollowTest() {
    for (const char* root : {kOld, kNew}) {
      RootState state;
      state.state = kRootActive;
      state.history = {{state.state, 1}};
      EXPECT_TRUE(
          PutDocument(store_, RootStateKey(root), EncodeRootState(state)).ok());
    }
    MoveTo(kOld);
    ServerEndpoints endpoints;
    auto control = Must(MakeSocketPair());
    control_ = std::move(control.first);
    endpoints.control = std::move(control.second);
    endpoints.manifest_id = id_;
    endpoints.root = kOld;
    server_ = Must(LocalCacheServer::Make(
        {}, {.origin = &origin_, .leases = &keeper_}, *arena_, metrics_,
        SystemClock(), std::move(endpoints)));
    thread_ = std::jthread([this] { EXPECT_TRUE(server_->Run().ok()); });
    client_ = Connect();
  }
  ~FollowTest() override { control_.Close(); }

  std::unique_ptr<LocalCacheSource> Connect() {
    auto pair = Must(MakeSocketPair());
    EXPECT_TRUE(SendNewClient(control_.get(), pair.second).ok());
    return Must(LocalCacheSource::Open(
        Must(LocalCacheSource::Handshake(std::move(pair.first)))));
  }
  void MoveTo(const std::string& root) {
    ManifestRecord record;
    record.id = id_;
    record.root = root;
    EXPECT_TRUE(PutDocument(store_, RecordKey(id_), EncodeRecord(record)).ok());
  }
  // Stored in `root`; every client asks for it in the old one.
  TestChunk AddChunk(uint64_t number, const char* root) {
    TestChunk chunk = MakeTestChunk(number, 1);
    chunk.ref.root = root;
    origin_.Add(chunk);
    chunk.ref.root = kOld;
    return chunk;
  }
  Status Read(const TestChunk& chunk) {
    ASSIGN_OR_RETURN(const ChunkView view,
                     client_->Get(chunk.ref, WantAll(chunk)));
    EXPECT_EQ(view.Copy(), chunk.bytes);
    return Ok();
  }

  const std::string id_ = std::string(64, 'a');
  MemoryStore store_;
  MemoryOrigin origin_;
  Fd file_ = Must(MakeArenaFile());
  std::unique_ptr<ArenaWriter> arena_ =
      Must(ArenaWriter::Open(file_, 16 * kMiB));
  Metrics all_metrics_;
  LocalCacheMetrics metrics_{all_metrics_};
  // Without a thread: what it knows it was told by readers.
  LeaseKeeper keeper_{store_, SystemClock(), metrics_, {.worker = "w1"}};
  Fd control_;
  std::unique_ptr<LocalCacheServer> server_;
  std::jthread thread_;
  std::unique_ptr<LocalCacheSource> client_;
};

TEST_F(FollowTest, AReadFollowsItsImageAndTheNextOneGoesThereAtOnce) {
  EXPECT_TRUE(Read(AddChunk(1, kOld)).ok());
  MoveTo(kNew);
  const TestChunk moved = AddChunk(2, kNew);
  const TestChunk next = AddChunk(3, kNew);
  int gets = origin_.gets();
  EXPECT_TRUE(Read(moved).ok());
  EXPECT_EQ(origin_.gets(), gets + 2);
  gets = origin_.gets();
  EXPECT_TRUE(Read(next).ok());
  EXPECT_EQ(origin_.gets(), gets + 1);
  // Also by a client that connects now, and was told long ago.
  client_ = Connect();
  EXPECT_TRUE(Read(AddChunk(4, kNew)).ok());
  EXPECT_EQ(origin_.gets(), gets + 2);
}

TEST_F(FollowTest, AChunkThatIsNowhereCostsOneLookAndIsNotFound) {
  const TestChunk nowhere = MakeTestChunk(5, 1);
  const int gets = origin_.gets();
  EXPECT_EQ(Read(nowhere).error().code, Code::kNotFound);
  EXPECT_EQ(origin_.gets(), gets + 1);
  MoveTo("");
  EXPECT_EQ(Read(nowhere).error().code, Code::kNotFound);
  EXPECT_EQ(origin_.gets(), gets + 2);
}

TEST_F(FollowTest, ClientsThatComeAndGoAreToldToTheKeeper) {
  EXPECT_EQ(keeper_.RootOf(id_), kOld);
  const auto second = Connect();
  client_ = nullptr;
  EXPECT_TRUE(
      second->Get(AddChunk(6, kOld).ref, WantAll(AddChunk(6, kOld))).ok());
  keeper_.DoWhatIsDue();
  EXPECT_TRUE(store_.Head(LeaseKey(id_, "w1")).ok());
}

}  // namespace
}  // namespace morsel
