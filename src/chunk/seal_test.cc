// SPDX-License-Identifier: Apache-2.0
#include "chunk/seal.h"

#include <gtest/gtest.h>

#include <set>

#include "base/fd.h"
#include "crypto/cipher.h"

namespace morsel {
namespace {

SecretKey Salt(uint8_t fill) {
  return SecretKey(Bytes(kKeySize, std::byte{fill}));
}

Bytes Plaintext() {
  Bytes plain(3 * kPageSize);
  for (size_t i = 0; i < plain.size(); ++i) {
    plain[i] = static_cast<std::byte>(i * 7 + i / 256);
  }
  return plain;
}

TEST(SealTest, FollowsTheFormulaOfThePaper) {
  const Bytes plain = Plaintext();
  Bytes bytes = plain;
  const SealedChunk sealed = SealChunk(Salt(1), "r1", bytes);
  const Digest hash = Sha256Of(plain);
  const Digest key =
      HmacSha256(Salt(1).bytes(), {AsBytes("morsel-chunk-key-1r1"), hash});
  EXPECT_EQ(ToHex(sealed.key.bytes()), ToHex(key));
  EXPECT_TRUE(sealed.name.Matches(bytes));
  Bytes opened(bytes.size());
  AesCtrXor(sealed.key.bytes(), 0, bytes, opened);
  EXPECT_EQ(opened, plain);
}

// tests/golden/make.py made it: name, key, ciphertext.
TEST(SealTest, SealsAsTheGoldenFileIs) {
  const Bytes golden =
      ReadWholeFile(GOLDEN_FOLDER "/sealed-chunk-1", kMiB).value();
  Bytes bytes = Plaintext();
  bytes.resize(2 * kPageSize);
  const SealedChunk sealed = SealChunk(Salt(1), "r0123456789ab", bytes);
  EXPECT_EQ(
      ToHex(sealed.name.digest()) + ToHex(sealed.key.bytes()) + ToHex(bytes),
      ToHex(golden));
}

// The format must never change by accident: dedup and every stored image
// depend on it.
TEST(SealTest, NameOfAKnownChunk) {
  Bytes bytes = Plaintext();
  const SealedChunk sealed = SealChunk(Salt(1), "r1", bytes);
  EXPECT_EQ(sealed.name.ToString(),
            "c0d263f7911000b3ffc2e43560fad71a4d8c3614508e379352f491c620e2915c");
}

TEST(SealTest, EqualPlaintextsShareAChunkInOneRootOnly) {
  Bytes first = Plaintext();
  Bytes again = Plaintext();
  Bytes other_root = Plaintext();
  Bytes other_salt = Plaintext();
  const ChunkName name = SealChunk(Salt(1), "r1", first).name;
  EXPECT_EQ(SealChunk(Salt(1), "r1", again).name, name);
  EXPECT_NE(SealChunk(Salt(1), "r2", other_root).name, name);
  EXPECT_NE(SealChunk(Salt(2), "r1", other_salt).name, name);
}

TEST(StoredLengthTest, EndsAtTheLastPageThatIsNotZero) {
  Bytes chunk(kChunkSize);
  EXPECT_EQ(StoredLength(chunk), 0u);
  EXPECT_EQ(StoredLength({}), 0u);
  for (size_t at : {size_t{0}, size_t{4095}, size_t{4096}, size_t{8191},
                    size_t{kChunkSize - 1}}) {
    Bytes marked = chunk;
    marked[at] = std::byte{1};
    EXPECT_EQ(StoredLength(marked), RoundUp(at + 1, kPageSize)) << at;
  }
}

TEST(SealTest, AVariantOfTheSaltGivesOtherChunksOfTheSamePlaintext) {
  const Bytes plain(2 * kPageSize, std::byte{7});
  Bytes bytes = plain;
  const SealedChunk first = SealChunk(Salt(1), "r1", bytes);
  std::set<ChunkName> names = {first.name};
  SealedChunk sealed{.name = first.name, .key = first.key.Clone()};
  for (uint32_t variant = 0; variant < 4; ++variant) {
    sealed = ResealChunk(sealed, VariantSalt(Salt(1), variant), "r1", bytes);
    names.insert(sealed.name);
    EXPECT_TRUE(sealed.name.Matches(bytes));
    Bytes opened(bytes.size());
    AesCtrXor(sealed.key.bytes(), 0, bytes, opened);
    EXPECT_TRUE(opened == plain);
  }
  EXPECT_EQ(names.size(), 5u);
  Bytes again = plain;
  EXPECT_EQ(SealChunk(VariantSalt(Salt(1), 3), "r1", again).name, sealed.name);
}

}  // namespace
}  // namespace morsel
