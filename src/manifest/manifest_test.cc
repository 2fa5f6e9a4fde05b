// SPDX-License-Identifier: Apache-2.0
#include "manifest/manifest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "base/fd.h"
#include "manifest/layout.h"

namespace morsel {
namespace {

using namespace manifest_layout;

constexpr std::string_view kConfig = R"({"os":"linux"})";

ChunkName NameOf(uint32_t number) {
  Bytes bytes(4);
  StoreLe<uint32_t>(bytes.data(), number);
  return ChunkName(Sha256Of(bytes));
}

ManifestContents MakeContents(const std::vector<uint32_t>& indexes) {
  ManifestContents contents;
  contents.virtual_size = 16 * kGiB;
  contents.root_of_birth = "r0123456789ab";
  contents.salt_id = "0123456789abcdef";
  contents.config = kConfig;
  contents.keys = SecretBuffer(indexes.size() * kKeySize);
  for (const uint32_t index : indexes) {
    const auto pages = index % kPagesPerChunk + 1;
    contents.keys.mutable_bytes()[contents.chunks.size() * kKeySize] =
        static_cast<std::byte>(index);
    contents.chunks.push_back({.index = index,
                               .stored_length = pages * kPageSize,
                               .name = NameOf(index)});
  }
  return contents;
}

const SecretKey& DataKey() {
  static const SecretKey key(AsBytes("0123456789abcdef0123456789abcdef"));
  return key;
}

Bytes SmallManifest() {
  return EncodeManifest(MakeContents({0, 3, 4, 900}), DataKey());
}

TEST(Manifest, ReadsBackWhatWasEncoded) {
  Manifest manifest = Manifest::Parse(SmallManifest()).value();
  EXPECT_EQ(manifest.virtual_size(), 16 * kGiB);
  EXPECT_EQ(manifest.root_of_birth(), "r0123456789ab");
  EXPECT_EQ(manifest.salt_id(), "0123456789abcdef");
  ASSERT_EQ(manifest.chunk_count(), 4U);
  EXPECT_EQ(manifest.ChunkAt(3).index, 900U);
  EXPECT_EQ(manifest.ChunkAt(3).name, NameOf(900));
  EXPECT_EQ(manifest.ChunkAt(1).stored_length, 4 * kPageSize);
  EXPECT_EQ(manifest.id(), ToHex(Sha256Of(manifest.bytes())));
  const OpenManifest opened =
      OpenManifest::Open(std::move(manifest), DataKey()).value();
  EXPECT_EQ(opened.config(), kConfig);
  EXPECT_EQ(opened.KeyAt(1)[0], std::byte{3});
}

// tests/golden/make.py made it, from docs/formats.md.
TEST(Manifest, IsThatOfTheGoldenFile) {
  const Bytes golden = ReadWholeFile(GOLDEN_FOLDER "/manifest-1", kMiB).value();
  Manifest manifest = Manifest::Parse(golden).value();
  ASSERT_EQ(manifest.chunk_count(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    const uint32_t index = std::array{0U, 3U, 4U, 900U}[i];
    EXPECT_EQ(manifest.ChunkAt(i).index, index);
    EXPECT_EQ(manifest.ChunkAt(i).stored_length,
              (index % kPagesPerChunk + 1) * kPageSize);
    EXPECT_EQ(manifest.ChunkAt(i).name, NameOf(index));
  }
  const OpenManifest opened =
      OpenManifest::Open(std::move(manifest), DataKey()).value();
  EXPECT_EQ(opened.config(), kConfig);
  EXPECT_EQ(opened.KeyAt(3)[0], std::byte{900 % 256});
  // All that the encoder adds of its own is the nonce, and what is sealed by
  // it.
  Bytes encoded = SmallManifest();
  ASSERT_EQ(encoded.size(), golden.size());
  std::copy_n(golden.begin() + kNonceOffset, kGcmNonceSize,
              encoded.begin() + kNonceOffset);
  const size_t clear = kHeaderSize + 4 * kRowSize;
  EXPECT_TRUE(
      std::equal(golden.begin(), golden.begin() + clear, encoded.begin()));
}

TEST(Manifest, HoldsAnImageWithoutChunks) {
  const Manifest manifest =
      Manifest::Parse(EncodeManifest(MakeContents({}), DataKey())).value();
  EXPECT_EQ(manifest.chunk_count(), 0U);
  EXPECT_FALSE(manifest.FindChunk(0).has_value());
}

TEST(Manifest, FindsChunksAsALinearSearchDoes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<uint32_t> indexes(300);
  for (uint32_t& index : indexes)
    index = static_cast<uint32_t>(random() % 1000);
  std::sort(indexes.begin(), indexes.end());
  indexes.erase(std::unique(indexes.begin(), indexes.end()), indexes.end());
  const Manifest manifest =
      Manifest::Parse(EncodeManifest(MakeContents(indexes), DataKey())).value();
  for (uint32_t index = 0; index < 1001; ++index) {
    const auto it = std::find(indexes.begin(), indexes.end(), index);
    const std::optional<size_t> found = manifest.FindChunk(index);
    ASSERT_EQ(found.has_value(), it != indexes.end()) << index;
    if (found) {
      EXPECT_EQ(*found, static_cast<size_t>(it - indexes.begin()));
    }
  }
}

TEST(Manifest, ShowsNoKeyAndNoConfigInTheClear) {
  ManifestContents contents = MakeContents({7});
  const std::string marker = "SECRET-MARKER-SECRET-MARKER-1234";
  std::copy_n(AsBytes(marker).begin(), kKeySize,
              contents.keys.mutable_bytes().begin());
  contents.config = "{\"Env\":[\"PASSWORD=" + marker + "\"]}";
  const Bytes bytes = EncodeManifest(contents, DataKey());
  EXPECT_EQ(AsText(bytes).find(marker), std::string_view::npos);
}

TEST(Manifest, FindsDamageAtEveryByte) {
  const Bytes good = SmallManifest();
  const std::string id = Manifest::Parse(good).value().id();
  for (size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= std::byte{1};
    Result<Manifest> parsed = Manifest::Parse(std::move(bad));
    if (!parsed.ok()) {
      EXPECT_EQ(parsed.error().code, Code::kCorrupt) << i;
      continue;
    }
    EXPECT_NE(parsed->id(), id) << i;
    const auto opened = OpenManifest::Open(std::move(*parsed), DataKey());
    ASSERT_FALSE(opened.ok()) << i;
    EXPECT_EQ(opened.error().code, Code::kCorrupt);
  }
}

TEST(Manifest, RefusesEveryOtherLength) {
  const Bytes good = SmallManifest();
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(
        Manifest::Parse(Bytes(good.begin(), good.begin() + length)).ok())
        << length;
  Bytes longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(Manifest::Parse(std::move(longer)).ok());
}

TEST(Manifest, RefusesAnotherDataKey) {
  Manifest manifest = Manifest::Parse(SmallManifest()).value();
  const auto opened = OpenManifest::Open(std::move(manifest),
                                         SecretKey::Generate(SystemRandom()));
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, Code::kCorrupt);
}

// Sets a field to a value that no encoder writes.
template <typename T>
Code CodeWith(size_t offset, T value) {
  Bytes bytes = SmallManifest();
  StoreLe<T>(&bytes[offset], value);
  const auto parsed = Manifest::Parse(std::move(bytes));
  return parsed.ok() ? Code::kInternal : parsed.error().code;
}

TEST(Manifest, TrustsNoField) {
  const size_t row = kHeaderSize + kRowSize;
  EXPECT_EQ(CodeWith<uint32_t>(kVersionOffset, 2), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(kChunkSizeOffset, 4096), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint64_t>(kVirtualSizeOffset, 0), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint64_t>(kVirtualSizeOffset, ~uint64_t{0}),
            Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint64_t>(kVirtualSizeOffset, kChunkSize), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(kChunkCountOffset, ~uint32_t{0}),
            Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(kConfigLengthOffset, ~uint32_t{0}),
            Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(row + kRowIndexOffset, 0), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(row + kRowIndexOffset, ~uint32_t{0}),
            Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(row + kRowLengthOffset, 0), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(row + kRowLengthOffset, 4095), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint32_t>(row + kRowLengthOffset, kChunkSize + kPageSize),
            Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint8_t>(kRootOffset, 0), Code::kCorrupt);
  EXPECT_EQ(CodeWith<uint8_t>(kRootOffset, ' '), Code::kCorrupt);
}

}  // namespace
}  // namespace morsel
