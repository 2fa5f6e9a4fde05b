// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace morsel {
namespace {

// Bit by bit, reflected polynomial of RFC 3720.
uint32_t SlowCrc32c(ByteSpan bytes) {
  uint32_t crc = 0xffffffff;
  for (std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
    }
  }
  return crc ^ 0xffffffff;
}

Bytes RandomBytes(std::mt19937_64& random, size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(Sha256Test, KnownVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(ToHex(Sha256Of({})),
            "e3b0c44298fc1c149afbf4c8996fb924"
            "27ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(ToHex(Sha256Of(AsBytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223"
            "b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256Test, StreamInAnyPiecesGivesTheDigestOfTheWhole) {
  std::mt19937_64 random(1);
  const Bytes bytes = RandomBytes(random, 10000);
  for (size_t step : {1, 63, 64, 65, 4096, 10000}) {
    Sha256 stream;
    for (size_t at = 0; at < bytes.size(); at += step) {
      stream.Update(
          ByteSpan(bytes).subspan(at).first(std::min(step, bytes.size() - at)));
    }
    Sha256 moved = std::move(stream);
    EXPECT_EQ(moved.Finish(), Sha256Of(bytes)) << "step " << step;
  }
}

TEST(HmacSha256Test, KnownVectors) {  // RFC 4231, cases 1, 2 and 6
  const std::string key1(20, '\x0b');
  EXPECT_EQ(ToHex(HmacSha256(AsBytes(key1), {AsBytes("Hi There")})),
            "b0344c61d8db38535ca8afceaf0bf12b"
            "881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(ToHex(HmacSha256(AsBytes("Jefe"), {AsBytes("what do ya want "),
                                               AsBytes("for nothing?")})),
            "5bdcc146bf60754e6a042426089575c7"
            "5a003f089d2739839dec58b964ec3843");
  const std::string key6(131, '\xaa');
  EXPECT_EQ(
      ToHex(HmacSha256(
          AsBytes(key6),
          {AsBytes("Test Using Larger Than Block-Size Key - Hash Key First")})),
      "60e431591ee0b67f0d8a26aacbf5b77f"
      "8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256Test, EmptyKeyIsAKeyOfItsOwn) {
  static_cast<void>(HmacSha256(AsBytes("other"), {}));
  EXPECT_EQ(ToHex(HmacSha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5"
            "ff1697c493715653c6c712144292c5ad");
}

TEST(Crc32cTest, KnownVectors) {  // RFC 3720, B.4
  EXPECT_EQ(Crc32c({}), 0u);
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xe3069283u);
  EXPECT_EQ(Crc32c(Bytes(32)), 0x8a9136aau);
  EXPECT_EQ(Crc32c(Bytes(32, std::byte{0xff})), 0x62a8ab43u);
}

TEST(Crc32cTest, AgreesWithTheSlowModelAtAnySizeAndAlignment) {
  std::mt19937_64 random(2);
  const Bytes bytes = RandomBytes(random, 9000);
  for (int round = 0; round < 300; ++round) {
    const size_t begin = random() % bytes.size();
    const ByteSpan part =
        ByteSpan(bytes).subspan(begin).first(random() % (9000 - begin));
    ASSERT_EQ(Crc32c(part), SlowCrc32c(part)) << begin << "+" << part.size();
  }
}

}  // namespace
}  // namespace morsel
