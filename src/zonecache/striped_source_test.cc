// SPDX-License-Identifier: Apache-2.0
// The striped client against real servers on loopback, through proxies that
// misbehave: the same tests with our nodes and with plain memcached.
#include "zonecache/striped_source.h"

#include <gtest/gtest.h>

#include <set>

#include "chunk/source_fixture.h"
#include "zonecache/fault_proxy.h"
#include "zonecache/stripe.h"
#include "zonecache/zone_fixture.h"

namespace morsel {
namespace {

using std::chrono::milliseconds;

constexpr size_t kNodes = 5;
constexpr uint32_t kChunks = 12;

using Starter = Result<std::unique_ptr<TestServer>> (*)();
struct ServerKind {
  const char* name;
  Starter start;
};

class StripedSourceTest : public testing::TestWithParam<ServerKind> {
 protected:
  struct Node {
    std::unique_ptr<TestServer> server;
    std::unique_ptr<FaultProxy> proxy;
  };

  void SetUp() override {
    for (size_t i = 0; i < kNodes; ++i) {
      AddNode();
      if (IsSkipped() || HasFatalFailure()) return;
    }
    source_ = MakeSource({});
    for (uint32_t i = 0; i < kChunks; ++i)
      chunks_.push_back(MakeTestChunk(i, kPageSize * (1 + i * 11)));
  }

  void AddNode() {
    auto server = GetParam().start();
    if (!server.ok() && server.error().code == Code::kNotFound)
      GTEST_SKIP() << server.error().message;
    ASSERT_TRUE(server.ok()) << server.error().message;
    auto proxy = FaultProxy::Start((*server)->address());
    ASSERT_TRUE(proxy.ok()) << proxy.error().message;
    nodes_.push_back({std::move(*server), std::move(*proxy)});
  }

  std::vector<NodeSpec> Specs() const {
    std::vector<NodeSpec> specs;
    for (const Node& node : nodes_) specs.push_back({node.proxy->address(), 1});
    return specs;
  }

  // No test depends on how fast the machine is.
  std::unique_ptr<StripedSource> MakeSource(StripedOptions options) {
    options.timeout = std::chrono::minutes(1);
    options.put_timeout = std::chrono::minutes(1);
    options.put_queue = 1000;
    options.pool.connect_timeout = std::chrono::minutes(1);
    options.pool.answer_timeout = std::chrono::minutes(1);
    auto source = StripedSource::Make(options, nullptr, SystemClock());
    (*source)->SetNodes(Specs());
    return std::move(source).value();
  }

  void StoreAll() {
    for (const TestChunk& chunk : chunks_)
      source_->Offer(chunk.ref, chunk.bytes);
    source_->Flush();
  }

  static void ExpectHit(StripedSource& source, const TestChunk& chunk) {
    const auto view = source.Get(chunk.ref, WholeChunk(chunk.ref));
    ASSERT_TRUE(view.ok()) << view.error().message;
    EXPECT_TRUE(view->Copy() == chunk.bytes);
  }

  void ExpectAllHits() {
    for (const TestChunk& chunk : chunks_) ExpectHit(*source_, chunk);
  }

  // Every chunk survives the loss of any one node: all its stripes are there.
  void ExpectFullRedundancy() {
    for (const Node& node : nodes_) {
      const auto fresh = MakeSource({});
      node.proxy->Refuse(true);
      for (const TestChunk& chunk : chunks_) ExpectHit(*fresh, chunk);
      node.proxy->Refuse(false);
    }
  }

  // Stripes that have another place after a change of the nodes.
  uint64_t MovedStripes(const std::vector<NodeSpec>& before) const {
    const Ring old_ring(before);
    const Ring new_ring(Specs());
    uint64_t moved = 0;
    for (const TestChunk& chunk : chunks_) {
      std::set<std::string> old_nodes;
      for (const Place& place : old_ring.Walk(chunk.ref.name, kNodes))
        old_nodes.insert(old_ring.nodes()[place.node].address);
      for (const Place& place : new_ring.Walk(chunk.ref.name, kNodes))
        moved += old_nodes.count(new_ring.nodes()[place.node].address) == 0;
    }
    return moved;
  }

  // Reads until everything that is missing is put back. A read leaves with the
  // first k stripes, so it need not see that one is missing.
  void ReadUntilAdded(uint64_t stripes) {
    const uint64_t before = source_->Stats().added;
    for (int i = 0; i < 1000; ++i) {
      ExpectAllHits();
      source_->Flush();
      if (source_->Stats().added - before >= stripes) break;
    }
    EXPECT_EQ(source_->Stats().added - before, stripes);
  }

  std::vector<Node> nodes_;
  std::unique_ptr<StripedSource> source_;
  std::vector<TestChunk> chunks_;
};

TEST_P(StripedSourceTest, WhatIsOfferedIsFoundAndWhatIsNotIsNotFound) {
  const auto before = source_->Get(chunks_[0].ref, WholeChunk(chunks_[0].ref));
  EXPECT_EQ(before.error().code, Code::kNotFound);
  StoreAll();
  ExpectAllHits();
  const StripedStats stats = source_->Stats();
  EXPECT_EQ(stats.gets, kChunks + 1);
  EXPECT_EQ(stats.hits, kChunks);
  EXPECT_EQ(stats.misses, 1U);
  EXPECT_EQ(stats.added, kChunks * kNodes);
  EXPECT_EQ(stats.put_failures + stats.bad_stripes + stats.repaired, 0U);
  ExpectFullRedundancy();
}

TEST_P(StripedSourceTest, ADeadNodeCostsNoErrorAndNoHit) {
  StoreAll();
  ExpectAllHits();
  // With connections that break, and with none.
  nodes_[2].proxy->Refuse(true);
  for (int round = 0; round < 3; ++round) ExpectAllHits();
  EXPECT_EQ(source_->Stats().hits, kChunks * 4);
  EXPECT_EQ(source_->Stats().failures, 0U);
  nodes_[2].proxy->Refuse(false);
  ExpectFullRedundancy();
}

TEST_P(StripedSourceTest, ANodeThatIsSlowOrHangsIsNotWaitedFor) {
  StoreAll();
  nodes_[1].proxy->Delay(milliseconds(50));
  ExpectAllHits();
  nodes_[1].proxy->Delay(milliseconds(0));
  nodes_[2].proxy->Swallow(true);
  for (int round = 0; round < 3; ++round) ExpectAllHits();
  EXPECT_EQ(source_->Stats().hits, kChunks * 4);
  // It took no more connections than it may.
  for (const NodeState& node : source_->Nodes())
    EXPECT_LE(node.stats.connections, NodePoolOptions().max_connections);
}

TEST_P(StripedSourceTest, GarbageIsRefusedCountedAndNeverReturned) {
  StoreAll();
  nodes_[3].proxy->Damage(true);
  ExpectAllHits();
  EXPECT_EQ(source_->Stats().hits, kChunks);
  // Who comes first wins, so not every damaged stripe is seen.
  for (int i = 0; i < 20 && source_->Stats().bad_stripes == 0; ++i)
    ExpectAllHits();
  EXPECT_GT(source_->Stats().bad_stripes, 0U);
}

TEST_P(StripedSourceTest, ANodeMoreLeavesAllChunksFoundAndGetsItsShare) {
  StoreAll();
  const std::vector<NodeSpec> before = Specs();
  AddNode();
  source_->SetNodes(Specs());
  ReadUntilAdded(MovedStripes(before));
  ExpectFullRedundancy();
}

TEST_P(StripedSourceTest, ANodeLessLeavesAllChunksFound) {
  AddNode();
  source_->SetNodes(Specs());
  StoreAll();
  const std::vector<NodeSpec> before = Specs();
  nodes_.erase(nodes_.begin() + 2);
  source_->SetNodes(Specs());
  ReadUntilAdded(MovedStripes(before));
  ExpectFullRedundancy();
}

TEST_P(StripedSourceTest, WithFewerNodesThanStripesTheyHoldSeveral) {
  nodes_.resize(2);
  source_->SetNodes(Specs());
  StoreAll();
  ExpectAllHits();
  EXPECT_EQ(source_->Stats().added, kChunks * kNodes);
}

// Stores a stripe with a right checksum and wrong bytes at a place.
void Forge(const std::string& node, const TestChunk& chunk, uint32_t index) {
  const Bytes payload(chunk.bytes.size() / 4, std::byte{0x77});
  const StripeHeader header =
      MakeStripeHeader(chunk.ref.name, index, chunk.ref.stored_length, payload);
  const std::string value =
      std::string(AsText(header)) + std::string(AsText(payload));
  const auto answer = AskServer(
      node, "set " + StripeKey(chunk.ref.name, 4, 1, 0) + " 0 0 " +
                std::to_string(value.size()) + "\r\n" + value + "\r\n");
  ASSERT_EQ(answer.value(), "STORED\r\n");
}

TEST_P(StripedSourceTest, AForgedStripeIsLeftOutAndReplaced) {
  StoreAll();
  const TestChunk& chunk = chunks_[7];
  const Place place = Ring(Specs()).Walk(chunk.ref.name, 5)[1];
  const std::string address = Ring(Specs()).nodes()[place.node].address;
  Forge(address, chunk, 1);
  // Whether the forged one is among the first k is chance.
  for (int i = 0; i < 1000 && source_->Stats().repaired == 0; ++i) {
    ExpectHit(*source_, chunk);
    source_->Flush();
  }
  EXPECT_EQ(source_->Stats().repaired, 1U);
  EXPECT_EQ(source_->Stats().bad_stripes, 1U);
  ExpectFullRedundancy();
}

TEST_P(StripedSourceTest, WhatCannotBeRebuiltIsReplacedAfterTheOriginGaveIt) {
  StoreAll();
  const TestChunk& chunk = chunks_[9];
  const Ring ring(Specs());
  const std::vector<Place> walk = ring.Walk(chunk.ref.name, 5);
  for (const uint32_t i : {0U, 2U})
    Forge(ring.nodes()[walk[i].node].address, chunk, i);
  const auto view = source_->Get(chunk.ref, WholeChunk(chunk.ref));
  ASSERT_FALSE(view.ok());
  EXPECT_EQ(view.error().code, Code::kCorrupt);
  // Two forged ones of five can be told from the others only once the origin
  // has given the chunk.
  source_->Offer(chunk.ref, chunk.bytes);
  source_->Flush();
  EXPECT_EQ(source_->Stats().repaired, 2U);
  ExpectFullRedundancy();
}

TEST_P(StripedSourceTest, TooFewNodesAreUnavailableAndNoMiss) {
  StoreAll();
  nodes_[0].proxy->Refuse(true);
  nodes_[1].proxy->Refuse(true);
  for (const TestChunk& chunk : chunks_) {
    const auto view = source_->Get(chunk.ref, WholeChunk(chunk.ref));
    ASSERT_FALSE(view.ok());
    EXPECT_EQ(view.error().code, Code::kUnavailable);
  }
  EXPECT_EQ(source_->Stats().failures, kChunks);
}

TEST_P(StripedSourceTest, ManyThreadsReadAtOnce) {
  StoreAll();
  nodes_[4].proxy->Delay(milliseconds(1));
  std::vector<std::jthread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 3; ++round) ExpectAllHits();
    });
  threads.clear();
  EXPECT_EQ(source_->Stats().hits, 6 * 3 * kChunks);
}

TEST_P(StripedSourceTest, TheQueueOfPutsDropsWhatItHasNoRoomFor) {
  for (const Node& node : nodes_) node.proxy->Swallow(true);
  StripedOptions options;
  options.put_queue = 2;
  options.put_timeout = milliseconds(1);
  auto source = StripedSource::Make(options, nullptr, SystemClock());
  (*source)->SetNodes(Specs());
  for (int i = 0; i < 20; ++i)
    for (const TestChunk& chunk : chunks_)
      (*source)->Offer(chunk.ref, chunk.bytes);
  (*source)->Flush();
  const StripedStats stats = (*source)->Stats();
  EXPECT_EQ(stats.queued + stats.dropped, 20 * kChunks);
  EXPECT_GT(stats.dropped, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Servers, StripedSourceTest,
    testing::Values(ServerKind{"Nodes", StartNode},
                    ServerKind{"Memcached", StartMemcached}),
    [](const auto& kind) { return std::string(kind.param.name); });

TEST(StripedSourceAloneTest, WithoutNodesNothingIsFound) {
  auto source = StripedSource::Make({}, nullptr, SystemClock());
  const TestChunk chunk = MakeTestChunk(1);
  (*source)->Offer(chunk.ref, chunk.bytes);
  (*source)->Flush();
  const auto view = (*source)->Get(chunk.ref, WholeChunk(chunk.ref));
  EXPECT_EQ(view.error().code, Code::kNotFound);
}

TEST(StripedSourceAloneTest, ACodeThatIsNoneIsRefused) {
  StripedOptions options;
  options.k = 0;
  EXPECT_EQ(StripedSource::Make(options, nullptr, SystemClock()).error().code,
            Code::kInvalid);
}

}  // namespace
}  // namespace morsel
