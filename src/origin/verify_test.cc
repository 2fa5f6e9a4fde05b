// SPDX-License-Identifier: Apache-2.0
#include "origin/verify.h"

#include <gtest/gtest.h>

#include <atomic>

#include "origin/test_image.h"
#include "store/fault_store.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

class VerifyTest : public testing::Test {
 protected:
  ResolvedImage Publish(uint32_t chunk_count) {
    const auto keys = MakeTestKeys(folder_, "key");
    CHECK(PublishTestImage(origin_, *keys, "a", chunk_count, 1).ok());
    return origin_.Resolve(ImageName::Parse("a").value()).value();
  }
  std::string KeyOf(const ResolvedImage& image, size_t position) {
    return ChunkKey(image.record.root, image.manifest.ChunkAt(position).name);
  }

  TestFolder folder_;
  MemoryStore store_;
  Origin origin_{store_, SystemClock()};
};

TEST_F(VerifyTest, FindsNothingInASoundImage) {
  const ResolvedImage image = Publish(50);
  std::atomic<uint64_t> progress = 0;
  const Result<VerifyReport> report =
      VerifyImage(origin_, image, 4, [&](uint64_t n) { progress += n; });
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->checked_chunks, 50u);
  EXPECT_EQ(report->checked_bytes, image.manifest.stored_bytes());
  EXPECT_EQ(progress, image.manifest.stored_bytes());
  EXPECT_EQ(report->damaged_chunks, 0u);
}

TEST_F(VerifyTest, ARecordThatStatesOtherSizesIsDamaged) {
  const ResolvedImage image = Publish(3);
  for (uint64_t ManifestRecord::*size :
       {&ManifestRecord::virtual_size, &ManifestRecord::stored_bytes,
        &ManifestRecord::chunk_count}) {
    ResolvedImage other = image;
    ++(other.record.*size);
    const Result<VerifyReport> report = VerifyImage(origin_, other, 4);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, Code::kCorrupt);
  }
}

TEST_F(VerifyTest, ListsEveryDamageByIndex) {
  const ResolvedImage image = Publish(50);
  ASSERT_TRUE(store_.Delete(KeyOf(image, 40)).ok());
  Bytes bytes = store_.Get(KeyOf(image, 3), 0, kMiB)->bytes;
  bytes[100] ^= std::byte{4};
  ASSERT_TRUE(store_.Put(KeyOf(image, 3), bytes).ok());
  bytes = store_.Get(KeyOf(image, 7), 0, kMiB)->bytes;
  ASSERT_TRUE(store_.Put(KeyOf(image, 7), ByteSpan(bytes).first(99)).ok());
  bytes.push_back(std::byte{0});
  ASSERT_TRUE(store_.Put(KeyOf(image, 11), bytes).ok());
  const Result<VerifyReport> report = VerifyImage(origin_, image, 4);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->checked_chunks, 50u);
  EXPECT_EQ(report->damaged_chunks, 4u);
  ASSERT_EQ(report->damages.size(), 4u);
  const size_t positions[] = {3, 7, 11, 40};
  const char* words[] = {"SHA-256", "99 bytes", "bytes instead", "no such"};
  for (size_t i = 0; i < 4; ++i) {
    const ManifestChunk chunk = image.manifest.ChunkAt(positions[i]);
    EXPECT_EQ(report->damages[i].index, chunk.index);
    EXPECT_EQ(report->damages[i].name, chunk.name);
    EXPECT_NE(report->damages[i].what.find(words[i]), std::string::npos)
        << report->damages[i].what;
  }
}

TEST_F(VerifyTest, BoundsTheListAndKeepsTheFirst) {
  const ResolvedImage image = Publish(kMaxListedDamages + 50);
  for (size_t i = 0; i < image.manifest.chunk_count(); ++i)
    ASSERT_TRUE(store_.Delete(KeyOf(image, i)).ok());
  const Result<VerifyReport> report = VerifyImage(origin_, image, 3);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->damaged_chunks, kMaxListedDamages + 50);
  ASSERT_EQ(report->damages.size(), kMaxListedDamages);
  for (size_t i = 0; i < kMaxListedDamages; ++i)
    EXPECT_EQ(report->damages[i].index, image.manifest.ChunkAt(i).index);
}

TEST_F(VerifyTest, AStoreThatDoesNotAnswerIsAnErrorAndNoDamage) {
  const ResolvedImage image = Publish(20);
  FaultStore fault(store_,
                   {{.code = Code::kUnavailable,
                     .op = StoreOp::kGet,
                     .key_prefix = "roots/",
                     .from_call = 5}},
                   1);
  Origin origin(fault, SystemClock());
  EXPECT_EQ(VerifyImage(origin, image, 2).error().code, Code::kUnavailable);
}

TEST(OriginChunkSource, ChecksWhatItGives) {
  MemoryStore store;
  const auto source = MakeOriginChunkSource(store);
  const Bytes bytes(kPageSize, std::byte{5});
  ChunkRef ref{ChunkName(Sha256Of(bytes)), "r0123456789ab", kPageSize};
  const Want want{.deadline = SystemClock().Now() + std::chrono::hours(1),
                  .length = kPageSize};
  EXPECT_EQ(source->Get(ref, want).error().code, Code::kNotFound);
  const std::string key = ChunkKey(ref.root, ref.name);
  EXPECT_EQ(key, "roots/r0123456789ab/chunks/" +
                     ref.name.ToString().substr(0, 2) + "/" +
                     ref.name.ToString());
  ASSERT_TRUE(store.Put(key, bytes).ok());
  const Result<ChunkView> view = source->Get(ref, want);
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->Copy(), bytes);
  EXPECT_EQ(source->Get(ref, {}).error().code, Code::kTimeout);
  ref.stored_length = 2 * kPageSize;
  EXPECT_EQ(source->Get(ref, want).error().code, Code::kCorrupt);
  ref.stored_length = kPageSize;
  ASSERT_TRUE(store.Put(key, Bytes(kPageSize)).ok());
  EXPECT_EQ(source->Get(ref, want).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace morsel
