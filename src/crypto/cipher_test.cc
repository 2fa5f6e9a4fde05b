// SPDX-License-Identifier: Apache-2.0
#include "crypto/cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>

namespace morsel {
namespace {

Bytes FromHex(std::string_view text) {
  Bytes bytes(text.size() / 2);
  EXPECT_TRUE(ParseHex(text, bytes).ok());
  return bytes;
}

Bytes RandomBytes(std::mt19937_64& random, size_t size) {
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

// With IV 0 the key stream is AES-256 of the counter. These two blocks under
// the zero key are also H and the first tag of McGrew and Viega's GCM vectors.
TEST(AesCtrTest, KnownKeyStream) {
  const Bytes key(kKeySize);
  Bytes stream(32);
  AesCtrXor(key, 0, stream, stream);
  EXPECT_EQ(ToHex(stream),
            "dc95c078a2408989ad48a21492842087"
            "530f8afbc74536b9a963b4f1c4cb738b");
}

TEST(AesCtrTest, SeeksToAnyByte) {
  std::mt19937_64 random(3);
  const Bytes key = RandomBytes(random, kKeySize);
  const Bytes plain = RandomBytes(random, 9000);
  Bytes whole(plain.size());
  AesCtrXor(key, 0, plain, whole);
  for (int round = 0; round < 500; ++round) {
    const size_t begin = random() % plain.size();
    const size_t size = random() % (plain.size() - begin);
    Bytes part(size);
    AesCtrXor(key, begin, ByteSpan(whole).subspan(begin, size), part);
    ASSERT_TRUE(std::ranges::equal(part, ByteSpan(plain).subspan(begin, size)))
        << begin << "+" << size;
  }
}

TEST(AesCtrTest, CounterIsBigEndianAcrossAByteBorder) {
  std::mt19937_64 random(4);
  const Bytes key = RandomBytes(random, kKeySize);
  // Block 255 to 257: a carry into the next byte of the counter.
  const Bytes zeros(258 * 16);
  Bytes whole(zeros.size());
  AesCtrXor(key, 0, zeros, whole);
  Bytes part(48);
  AesCtrXor(key, 255 * 16, Bytes(48), part);
  EXPECT_TRUE(std::ranges::equal(part, ByteSpan(whole).subspan(255 * 16, 48)));
}

TEST(AesCtrTest, NothingToDoIsFine) { AesCtrXor(Bytes(kKeySize), 5, {}, {}); }

// IEEE P1619 vector 10: AES-256-XTS, data unit 0xff, 512 bytes, begins so. Its
// unit is 512 bytes where ours is a page, and XTS runs from the front, so the
// first 512 bytes of a page are the same.
TEST(AesXtsTest, KnownVector) {
  const Bytes key = FromHex(
      "2718281828459045235360287471352662497757247093699959574966967627"
      "3141592653589793238462643383279502884197169399375105820974944592");
  Bytes page(4096);
  for (size_t i = 0; i < page.size(); ++i) page[i] = std::byte(i & 0xff);
  Bytes sealed(page.size());
  AesXtsEncrypt(key, 0xff, page, sealed);
  EXPECT_EQ(ToHex(ByteSpan(sealed).first(32)),
            "1c3b3a102f770386e4836c99e370cf9b"
            "ea00803f5e482357a4ae12d414a3e63b");
}

TEST(AesXtsTest, EachPageHasATweakOfItsOwn) {
  std::mt19937_64 random(5);
  const Bytes key = RandomBytes(random, kXtsKeySize);
  Bytes plain = RandomBytes(random, 3 * 4096);
  std::copy_n(plain.begin(), 4096, plain.begin() + 4096);
  Bytes sealed(plain.size());
  AesXtsEncrypt(key, 300, plain, sealed);
  EXPECT_FALSE(
      std::equal(sealed.begin(), sealed.begin() + 4096, sealed.begin() + 4096));
  Bytes last(4096);
  AesXtsDecrypt(key, 302, ByteSpan(sealed).subspan(2 * 4096), last);
  EXPECT_TRUE(std::ranges::equal(last, ByteSpan(plain).subspan(2 * 4096)));
  AesXtsDecrypt(key, 300, sealed, sealed);  // in place
  EXPECT_EQ(sealed, plain);
}

TEST(AesGcmTest, KnownVectors) {  // McGrew and Viega, test cases 13 and 14
  const SecretKey key;
  EXPECT_EQ(ToHex(AesGcmSeal(key, GcmNonce{}, {}, {})),
            "530f8afbc74536b9a963b4f1c4cb738b");
  EXPECT_EQ(ToHex(AesGcmSeal(key, GcmNonce{}, {}, Bytes(16))),
            "cea7403d4d606b6e074ec5d3baf39d18"
            "d0d1c8a799996bf0265b98b5d48ab919");
}

TEST(AesGcmTest, KnownVectorWithAdditionalData) {  // test case 16
  const SecretKey key(FromHex(
      "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"));
  GcmNonce nonce;
  ASSERT_TRUE(ParseHex("cafebabefacedbaddecaf888", nonce).ok());
  const Bytes plain = FromHex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const Bytes additional = FromHex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const Bytes sealed = AesGcmSeal(key, nonce, additional, plain);
  EXPECT_EQ(ToHex(sealed),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
            "76fc6ece0f4e1768cddf8853bb2d551b");
  Bytes opened(plain.size());
  ASSERT_TRUE(AesGcmOpen(key, nonce, additional, sealed, opened).ok());
  EXPECT_EQ(opened, plain);
}

TEST(AesGcmTest, FindsEveryFlippedByteAndWipesWhatItOpened) {
  const SecretKey key = SecretKey::Generate(SystemRandom());
  const Bytes additional = CopyBytes(AsBytes("context"));
  const Bytes plain(40, std::byte{9});
  const Bytes sealed = AesGcmSeal(key, GcmNonce{}, additional, plain);
  for (size_t i = 0; i < sealed.size() + additional.size(); ++i) {
    Bytes bad_sealed = sealed;
    Bytes bad_additional = additional;
    (i < sealed.size() ? bad_sealed[i] : bad_additional[i - sealed.size()]) ^=
        std::byte{0x10};
    Bytes opened(plain.size(), std::byte{1});
    const Status status =
        AesGcmOpen(key, GcmNonce{}, bad_additional, bad_sealed, opened);
    ASSERT_FALSE(status.ok()) << i;
    EXPECT_EQ(status.error().code, Code::kCorrupt);
    EXPECT_TRUE(IsZero(opened));
  }
}

TEST(AesGcmTest, ShorterThanATagIsCorrupt) {
  const SecretKey key;
  const Status status = AesGcmOpen(key, GcmNonce{}, {}, Bytes(15), {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kCorrupt);
}

TEST(AesGcmTest, AnotherNonceOrKeyIsCorrupt) {
  const SecretKey key = SecretKey::Generate(SystemRandom());
  const SecretKey other = SecretKey::Generate(SystemRandom());
  const Bytes sealed = AesGcmSeal(key, GcmNonce{}, {}, Bytes(8));
  Bytes opened(8);
  EXPECT_FALSE(AesGcmOpen(other, GcmNonce{}, {}, sealed, opened).ok());
  EXPECT_FALSE(
      AesGcmOpen(key, GcmNonce{std::byte{1}}, {}, sealed, opened).ok());
  EXPECT_TRUE(AesGcmOpen(key, GcmNonce{}, {}, sealed, opened).ok());
}

TEST(CipherTest, ThreadsHaveContextsOfTheirOwn) {
  std::mt19937_64 random(6);
  const Bytes plain = RandomBytes(random, 4096);
  const auto work = [&](std::byte seed) {
    const Bytes key(kKeySize, seed);
    Bytes expected(plain.size());
    AesCtrXor(key, 0, plain, expected);
    for (int round = 0; round < 200; ++round) {
      Bytes out(plain.size());
      AesCtrXor(key, 0, plain, out);
      ASSERT_EQ(out, expected);
    }
  };
  std::jthread first(work, std::byte{1});
  std::jthread second(work, std::byte{2});
}

TEST(CipherTest, WarmUpMayRunTwice) {
  WarmUpCiphers();
  WarmUpCiphers();
}

}  // namespace
}  // namespace morsel
