// SPDX-License-Identifier: Apache-2.0
#include "zonecache/ring.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr uint32_t kK = 4;
constexpr uint32_t kCount = 5;

ChunkName NameOf(uint64_t number) {
  return ChunkName(Sha256Of(AsBytes("chunk " + std::to_string(number))));
}

std::vector<NodeSpec> Nodes(size_t count) {
  std::vector<NodeSpec> nodes;
  for (size_t i = 0; i < count; ++i)
    nodes.push_back({"10.0.0." + std::to_string(i) + ":11311", 1});
  return nodes;
}

// The addresses of a walk.
std::vector<std::string> AddressesOf(const Ring& ring, const ChunkName& name) {
  std::vector<std::string> addresses;
  for (const Place& place : ring.Walk(name, kCount))
    addresses.push_back(ring.nodes()[place.node].address + "." +
                        std::to_string(place.round));
  return addresses;
}

// A node's stripes over the fair share of its weight; the largest of all.
double WorstShare(const std::vector<NodeSpec>& nodes, int chunk_count) {
  const Ring ring(nodes);
  std::vector<double> stripes(nodes.size());
  for (int i = 0; i < chunk_count; ++i)
    for (const Place& place : ring.Walk(NameOf(i), kCount))
      ++stripes[place.node];
  double weights = 0;
  for (const NodeSpec& node : nodes) weights += node.weight;
  double worst = 0;
  for (size_t i = 0; i < nodes.size(); ++i)
    worst = std::max(
        worst, stripes[i] * weights / (nodes[i].weight * chunk_count * kCount));
  return worst;
}

TEST(RingTest, NoNodeHasMoreThanElevenTenthsOfItsFairShare) {
  for (const size_t count : {3U, 4U, 5U, 6U, 7U, 10U, 20U, 50U, 100U}) {
    // So many stripes a node that the sample's own spread is 1 %.
    const double worst =
        WorstShare(Nodes(count), static_cast<int>(2500 * count));
    EXPECT_LT(worst, 1.1) << count << " nodes";
  }
}

TEST(RingTest, WeightsDecideTheShare) {
  std::vector<NodeSpec> nodes = Nodes(20);
  for (size_t i = 0; i < nodes.size(); i += 2) nodes[i].weight = 2;
  // A walk takes distinct nodes, which costs the heavy ones a little.
  EXPECT_LT(WorstShare(nodes, 40'000), 1.15);
}

TEST(RingTest, StripesOfAChunkNeverShareANodeWhileThereAreEnough) {
  for (const size_t count : {5U, 6U, 9U}) {
    const Ring ring(Nodes(count));
    for (int i = 0; i < 2000; ++i) {
      std::set<uint32_t> nodes;
      for (const Place& place : ring.Walk(NameOf(i), kCount)) {
        EXPECT_EQ(place.round, 0U);
        nodes.insert(place.node);
      }
      ASSERT_EQ(nodes.size(), kCount);
    }
  }
}

TEST(RingTest, WhereNodesAreTooFewTheyHoldSeveralStripesEvenly) {
  const Ring ring(Nodes(2));
  for (int i = 0; i < 100; ++i) {
    const std::vector<Place> walk = ring.Walk(NameOf(i), kCount);
    ASSERT_EQ(walk.size(), kCount);
    EXPECT_NE(walk[0].node, walk[1].node);
    for (uint32_t at = 0; at < kCount; ++at)
      EXPECT_EQ(walk[at], (Place{walk[at % 2].node, at / 2}));
  }
  EXPECT_TRUE(Ring({}).Walk(NameOf(1), kCount).empty());
}

TEST(RingTest, TheWalkGoesCounterclockwiseAsTheSlowModelDoes) {
  // The model sorts all nodes by how far counterclockwise their nearest point
  // lies, which it finds by trying every point.
  const std::vector<NodeSpec> nodes = Nodes(7);
  const Ring ring(nodes);
  std::vector<std::vector<uint64_t>> points(nodes.size());
  for (size_t n = 0; n < nodes.size(); ++n)
    for (int p = 0; p < 250; ++p) {
      const Digest digest = Sha256Of(AsBytes(
          "morsel-ring-1 " + nodes[n].address + " " + std::to_string(p)));
      for (size_t q = 0; q < 4; ++q)
        points[n].push_back(LoadLe<uint64_t>(&digest[q * 8]));
    }
  for (int i = 0; i < 300; ++i) {
    const auto from = LoadLe<uint64_t>(NameOf(i).digest().data());
    std::vector<std::pair<uint64_t, uint32_t>> far;
    for (uint32_t n = 0; n < nodes.size(); ++n) {
      uint64_t nearest = UINT64_MAX;
      for (const uint64_t point : points[n])
        nearest = std::min(nearest, from - point);
      far.emplace_back(nearest, n);
    }
    std::sort(far.begin(), far.end());
    const std::vector<Place> walk = ring.Walk(NameOf(i), kCount);
    for (uint32_t at = 0; at < kCount; ++at)
      ASSERT_EQ(walk[at].node, far[at].second) << "chunk " << i;
  }
}

// What one change of the nodes costs: every chunk keeps all stripes but one,
// and about 1/n of all stripes have no place any more.
void ExpectCheapChange(const Ring& before, const Ring& after, size_t larger) {
  constexpr int kChunks = 8000;
  int moved = 0;
  for (int i = 0; i < kChunks; ++i) {
    const std::vector<std::string> old_walk = AddressesOf(before, NameOf(i));
    const std::vector<std::string> new_walk = AddressesOf(after, NameOf(i));
    uint32_t found = 0;
    for (const std::string& address : new_walk)
      found += std::count(old_walk.begin(), old_walk.end(), address) > 0;
    ASSERT_GE(found, kK) << "chunk " << i;
    moved += static_cast<int>(kCount - found);
  }
  const double share = moved / double{kChunks} / kCount;
  EXPECT_NEAR(share * static_cast<double>(larger), 1, 0.15) << larger;
}

TEST(RingTest, OneNodeMoreOrLessLeavesEveryChunkWithEnoughStripes) {
  for (const size_t count : {5U, 6U, 10U, 30U, 100U}) {
    const Ring small(Nodes(count));
    const Ring large(Nodes(count + 1));
    ExpectCheapChange(small, large, count + 1);
    ExpectCheapChange(large, small, count + 1);
    std::vector<NodeSpec> without_first = Nodes(count + 1);
    without_first.erase(without_first.begin());
    ExpectCheapChange(large, Ring(without_first), count + 1);
  }
}

TEST(RingTest, TheOrderOfTheListChangesNothing) {
  std::vector<NodeSpec> backwards = Nodes(9);
  std::reverse(backwards.begin(), backwards.end());
  const Ring one(Nodes(9));
  const Ring other(backwards);
  for (int i = 0; i < 500; ++i)
    ASSERT_EQ(AddressesOf(one, NameOf(i)), AddressesOf(other, NameOf(i)));
}

TEST(RingTest, KeysNameTheCodeAndTheRound) {
  const ChunkName name = NameOf(1);
  EXPECT_EQ(StripeKey(name, 4, 1, 0), name.ToString() + ".4+1");
  EXPECT_EQ(StripeKey(name, 10, 2, 3), name.ToString() + ".10+2.3");
}

TEST(ParseNodesTest, ReadsAddressesAndWeights) {
  const auto nodes = ParseNodes(" b:2*0.5 ,\n a:1,[::1]:3 * 2,");
  ASSERT_TRUE(nodes.ok());
  EXPECT_EQ(*nodes,
            (std::vector<NodeSpec>{{"[::1]:3", 2}, {"a:1", 1}, {"b:2", 0.5}}));
  EXPECT_TRUE(ParseNodes("")->empty());
}

TEST(ParseNodesTest, NamesTheEntryThatIsWrong) {
  for (const char* text : {"a", "a:", ":1", "a:1*", "a:1*0", "a:1*x", "a:1*nan",
                           "a:1*1e9", "a:1,b:1,a:1"}) {
    const auto nodes = ParseNodes(text);
    ASSERT_FALSE(nodes.ok()) << text;
    EXPECT_EQ(nodes.error().code, Code::kInvalid);
  }
}

}  // namespace
}  // namespace morsel
