// SPDX-License-Identifier: Apache-2.0
#include "zonecache/stripe.h"

#include <gtest/gtest.h>

#include "crypto/hash.h"

namespace morsel {
namespace {

const ChunkName kName(Sha256Of(AsBytes("chunk")));
constexpr std::string_view kPayload = "the stripe";

Bytes Value(const ChunkName& name, uint32_t index) {
  const StripeHeader header =
      MakeStripeHeader(name, index, 4096, AsBytes(kPayload));
  Bytes value(header.begin(), header.end());
  const ByteSpan payload = AsBytes(kPayload);
  value.insert(value.end(), payload.begin(), payload.end());
  return value;
}

TEST(StripeTest, WhatWasMadeIsRead) {
  const Bytes value = Value(kName, 3);
  const auto stripe = ParseStripe(kName, value);
  ASSERT_TRUE(stripe.ok());
  EXPECT_EQ(stripe->index, 3U);
  EXPECT_EQ(stripe->stored_length, 4096U);
  EXPECT_EQ(AsText(stripe->payload), kPayload);
}

TEST(StripeTest, TheFormatStays) {
  // If this fails, every node in the field misses: count the version up.
  EXPECT_EQ(
      ToHex(ByteSpan(Value(kName, 3)).first(kStripeHeaderSize)),
      "4d7a010300100000" + ToHex(ByteSpan(Value(kName, 3)).subspan(8, 4)));
}

TEST(StripeTest, EveryFlippedBitIsFound) {
  const Bytes good = Value(kName, 1);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1U << bit % 8);
    EXPECT_EQ(ParseStripe(kName, bad).error().code, Code::kCorrupt) << bit;
  }
}

TEST(StripeTest, AStripeOfAnotherChunkOrACutOneIsRefused) {
  const ChunkName other(Sha256Of(AsBytes("other")));
  EXPECT_EQ(ParseStripe(kName, Value(other, 1)).error().code, Code::kCorrupt);
  const Bytes good = Value(kName, 1);
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(ParseStripe(kName, ByteSpan(good).first(length)).ok());
}

}  // namespace
}  // namespace morsel
