// SPDX-License-Identifier: Apache-2.0
#include "erasure/code.h"

#include <gtest/gtest.h>

#include <random>

namespace morsel {
namespace {

// The slow model: GF(2^8) with the polynomial 0x11d by shifting bits, and
// decoding by solving the linear equations one byte at a time.
uint8_t Multiply(uint8_t a, uint8_t b) {
  unsigned product = 0;
  for (unsigned bit = 0; bit < 8; ++bit)
    if ((b >> bit & 1U) != 0) product ^= unsigned{a} << bit;
  for (int bit = 15; bit >= 8; --bit)
    if ((product >> bit & 1U) != 0) product ^= 0x11dU << (bit - 8);
  return static_cast<uint8_t>(product);
}

uint8_t Inverse(uint8_t a) {
  for (unsigned b = 1; b < 256; ++b)
    if (Multiply(a, static_cast<uint8_t>(b)) == 1)
      return static_cast<uint8_t>(b);
  return 0;
}

using Row = std::vector<uint8_t>;

// What stripe `index` is made of.
Row ModelRow(uint32_t k, uint32_t index) {
  Row row(k, 0);
  if (index < k) {
    row[index] = 1;
    return row;
  }
  for (uint32_t column = 0; column < k; ++column)
    row[column] = Multiply(Inverse(static_cast<uint8_t>(index ^ column)),
                           static_cast<uint8_t>(k ^ column));
  return row;
}

Bytes ModelStripe(const Bytes& data, uint32_t k, uint32_t index) {
  const size_t length = (data.size() + k - 1) / k;
  const Row row = ModelRow(k, index);
  Bytes stripe(length);
  for (size_t at = 0; at < data.size(); ++at)
    stripe[at % length] ^= static_cast<std::byte>(
        Multiply(static_cast<uint8_t>(data[at]), row[at / length]));
  return stripe;
}

Bytes RandomBytes(std::mt19937_64& random, size_t length) {
  Bytes bytes(length);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

ByteSpan StripeOf(const Bytes& stripes, size_t length, uint32_t index) {
  return ByteSpan(stripes).subspan(index * length, length);
}

ErasureCode CodeOf(uint32_t k, uint32_t r) {
  return ErasureCode::Make(k, r).value();
}

// Every set of stripes that is left: the data comes back from k and more.
void ExpectEveryLossPattern(uint32_t k, uint32_t r, const Bytes& data) {
  const ErasureCode code = CodeOf(k, r);
  const Bytes stripes = code.Encode(data);
  const size_t length = code.StripeLength(data.size());
  for (uint32_t left = 0; left < 1U << (k + r); ++left) {
    std::vector<ByteSpan> given(k + r);
    for (uint32_t i = 0; i < k + r; ++i)
      if ((left >> i & 1U) != 0) given[i] = StripeOf(stripes, length, i);
    Bytes out(data.size());
    const Status status = code.Rebuild(given, out);
    if (static_cast<uint32_t>(std::popcount(left)) < k) {
      ASSERT_EQ(status.error().code, Code::kNotFound);
    } else {
      ASSERT_TRUE(status.ok()) << status.error().message;
      ASSERT_EQ(out, data) << k << "+" << r << ", left " << left << ", "
                           << data.size() << " bytes";
    }
  }
}

TEST(ErasureCodeTest, StripesAreThoseOfTheSlowModel) {
  std::mt19937_64 random(1);
  for (uint32_t k = 1; k <= 6; ++k) {
    for (uint32_t r = 0; r <= 4; ++r) {
      const Bytes data = RandomBytes(random, 1 + random() % 400);
      const ErasureCode code = CodeOf(k, r);
      const Bytes stripes = code.Encode(data);
      const size_t length = code.StripeLength(data.size());
      ASSERT_EQ(stripes.size(), length * (k + r));
      for (uint32_t i = 0; i < k + r; ++i)
        EXPECT_EQ(CopyBytes(StripeOf(stripes, length, i)),
                  ModelStripe(data, k, i))
            << k << "+" << r << ", stripe " << i;
    }
  }
}

TEST(ErasureCodeTest, EveryLossPatternGivesTheDataBackOrSaysThatItCannot) {
  std::mt19937_64 random(2);
  for (uint32_t k = 1; k <= 6; ++k)
    for (uint32_t r = 0; r <= 4; ++r)
      for (const size_t length : {size_t{1}, size_t{k}, size_t{257}})
        ExpectEveryLossPattern(k, r, RandomBytes(random, length));
}

TEST(ErasureCodeTest, EveryLossPatternOfAWholeChunkIsRebuilt) {
  std::mt19937_64 random(3);
  ExpectEveryLossPattern(4, 1, RandomBytes(random, 512 * kKiB));
  ExpectEveryLossPattern(4, 2, RandomBytes(random, 4096));
}

TEST(ErasureCodeTest, TheFirstParityIsPlainXor) {
  std::mt19937_64 random(4);
  for (const uint32_t r : {1U, 3U}) {
    const Bytes data = RandomBytes(random, 4096);
    const Bytes stripes = CodeOf(4, r).Encode(data);
    for (size_t i = 0; i < 1024; ++i)
      ASSERT_EQ(stripes[4096 + i],
                data[i] ^ data[1024 + i] ^ data[2048 + i] ^ data[3072 + i]);
  }
}

TEST(ErasureCodeTest, TheLargestCodesSurviveRandomLosses) {
  const auto seed =
      static_cast<uint64_t>(testing::UnitTest::GetInstance()->random_seed());
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    const auto k = static_cast<uint32_t>(1 + random() % 60);
    const auto r =
        static_cast<uint32_t>(random() % (ErasureCode::kMaxStripes - k + 1));
    const ErasureCode code = CodeOf(k, r);
    const Bytes data = RandomBytes(random, 1 + random() % 2000);
    const Bytes stripes = code.Encode(data);
    std::vector<uint32_t> order(k + r);
    for (uint32_t i = 0; i < k + r; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    std::vector<ByteSpan> given(k + r);
    for (uint32_t i = 0; i < k; ++i)
      given[order[i]] =
          StripeOf(stripes, code.StripeLength(data.size()), order[i]);
    Bytes out(data.size());
    ASSERT_TRUE(code.Rebuild(given, out).ok());
    ASSERT_EQ(out, data) << "seed " << seed << ", " << k << "+" << r;
  }
}

TEST(ErasureCodeTest, AStripeOfAnotherLengthIsRefused) {
  const ErasureCode code = CodeOf(2, 1);
  const Bytes stripes = code.Encode(Bytes(100));
  const std::vector<ByteSpan> given{
      ByteSpan(stripes).first(50), ByteSpan(stripes).first(49), {}};
  Bytes out(100);
  EXPECT_EQ(code.Rebuild(given, out).error().code, Code::kInvalid);
}

TEST(ErasureCodeTest, CodesOutsideTheLimitsAreRefused) {
  EXPECT_EQ(ErasureCode::Make(0, 1).error().code, Code::kInvalid);
  EXPECT_EQ(ErasureCode::Make(60, 5).error().code, Code::kInvalid);
  EXPECT_EQ(ErasureCode::Make(4, UINT32_MAX).error().code, Code::kInvalid);
  EXPECT_TRUE(ErasureCode::Make(64, 0).ok());
}

}  // namespace
}  // namespace morsel
