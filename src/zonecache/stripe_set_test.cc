// SPDX-License-Identifier: Apache-2.0
#include "zonecache/stripe_set.h"

#include <gtest/gtest.h>

#include "chunk/source_fixture.h"
#include "zonecache/stripe.h"

namespace morsel {
namespace {

using Kind = PlaceState::Kind;

class StripeSetTest : public testing::Test {
 protected:
  Reply ValueOf(uint32_t index, bool forged = false) const {
    const Bytes all = code_.Encode(chunk_.bytes);
    const size_t length = code_.StripeLength(chunk_.bytes.size());
    Bytes payload = CopyBytes(ByteSpan(all).subspan(index * length, length));
    if (forged) payload[5] ^= std::byte{1};
    const StripeHeader header = MakeStripeHeader(
        chunk_.ref.name, index, chunk_.ref.stored_length, payload);
    Reply reply;
    reply.kind = Reply::Kind::kValue;
    reply.value.assign(header.begin(), header.end());
    reply.value.insert(reply.value.end(), payload.begin(), payload.end());
    reply.cas = 100 + index;
    return reply;
  }

  const ErasureCode code_ = ErasureCode::Make(4, 2).value();
  const TestChunk chunk_ = MakeTestChunk(1);
  StripeSet set_{code_, chunk_.ref};
};

TEST_F(StripeSetTest, AnyKDistinctStripesGiveTheChunk) {
  for (const uint32_t index : {5U, 1U, 4U})
    set_.Answered(index, ValueOf(index));
  EXPECT_FALSE(set_.Assemble().has_value());
  set_.Answered(0, ValueOf(2));
  EXPECT_EQ(set_.Assemble(), chunk_.bytes);
  EXPECT_TRUE(set_.decoded());
}

TEST_F(StripeSetTest, AStripeThatIsHeldTwiceCountsOnce) {
  for (uint32_t i = 0; i < 3; ++i) set_.Answered(i, ValueOf(i));
  set_.Answered(3, ValueOf(0));
  EXPECT_EQ(set_.distinct(), 3U);
  EXPECT_FALSE(set_.possible(0));
  EXPECT_TRUE(set_.possible(1));
}

TEST_F(StripeSetTest, DamageIsFoundByTheChecksum) {
  Reply reply = ValueOf(0);
  reply.value[20] ^= std::byte{4};
  set_.Answered(0, std::move(reply));
  EXPECT_EQ(set_.places()[0], (PlaceState{Kind::kBad, 0, 100, 0}));
  EXPECT_EQ(set_.bad(), 1U);
  EXPECT_EQ(set_.distinct(), 0U);
}

TEST_F(StripeSetTest, AForgedStripeIsLeftOutAndFound) {
  for (uint32_t forged = 0; forged < 4; ++forged) {
    StripeSet set(code_, chunk_.ref);
    for (uint32_t i = 0; i < 4; ++i) set.Answered(i, ValueOf(i, i == forged));
    EXPECT_FALSE(set.Assemble().has_value());
    set.Answered(5, ValueOf(5));
    EXPECT_EQ(set.Assemble(), chunk_.bytes);
    EXPECT_EQ(set.bad(), 1U);
    EXPECT_EQ(set.places()[forged].kind, Kind::kBad);
  }
}

TEST_F(StripeSetTest, WhatComesAfterTheChunkIsJudgedToo) {
  for (uint32_t i = 0; i < 4; ++i) set_.Answered(i, ValueOf(i));
  EXPECT_EQ(set_.Assemble(), chunk_.bytes);
  Reply damaged = ValueOf(4);
  damaged.value[20] ^= std::byte{4};
  set_.Answered(4, std::move(damaged));
  set_.Answered(5, Reply());
  EXPECT_EQ(set_.bad(), 1U);
  EXPECT_EQ(PlanRepair(set_.places(), false),
            (std::vector<StripePut>{{4, 4, 104}, {5, 5, std::nullopt}}));
}

TEST_F(StripeSetTest, TwoForgedStripesOfFiveGiveNothing) {
  for (uint32_t i = 0; i < 5; ++i) set_.Answered(i, ValueOf(i, i < 2));
  EXPECT_FALSE(set_.Assemble().has_value());
}

TEST_F(StripeSetTest, AStripeOfAnotherLengthOrIndexIsBad) {
  const TestChunk other = MakeTestChunk(1, 4 * kPageSize);
  ChunkRef longer = chunk_.ref;
  longer.stored_length = other.ref.stored_length;
  StripeSet set(code_, longer);
  set.Answered(0, ValueOf(0));
  EXPECT_EQ(set.bad(), 1U);
}

}  // namespace
}  // namespace morsel
