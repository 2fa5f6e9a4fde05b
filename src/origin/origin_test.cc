// SPDX-License-Identifier: Apache-2.0
#include "origin/origin.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/fd.h"
#include "origin/document.h"
#include "origin/record_store.h"
#include "origin/test_image.h"
#include "store/conformance.h"
#include "store/fault_store.h"
#include "store/memory_store.h"
#include "store/throttle_store.h"

namespace morsel {
namespace {

ImageName Name(std::string_view text) { return ImageName::Parse(text).value(); }

class OriginTest : public testing::TestWithParam<ConformanceProvider> {
 protected:
  std::unique_ptr<ObjectStore> MakeStore(const std::string& name) {
    return GetParam().make(folder_.path() + "/" + name);
  }
  void SetRootState(const std::string& root, std::string_view state) {
    RootState changed = LoadRootState(store_, root).value();
    changed.state = state;
    changed.history.push_back({std::string(state), 1});
    Json json = EncodeRootState(changed);
    json["format"] = 1;
    ASSERT_TRUE(store_.Put(RootStateKey(root), AsBytes(json.Dump())).ok());
  }
  // Rewrites a text within an object.
  void Edit(const std::string& key, const std::string& from,
            const std::string& to) {
    std::string text(AsText(store_.Get(key, 0, kMiB)->bytes));
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    text.replace(at, from.size(), to);
    ASSERT_TRUE(store_.Put(key, AsBytes(text)).ok());
  }

  TestFolder folder_;
  std::unique_ptr<KeyService> keys_ = MakeTestKeys(folder_, "key");
  std::unique_ptr<KeyService> other_keys_ = MakeTestKeys(folder_, "other");
  const std::unique_ptr<ObjectStore> real_ = MakeStore("store");
  ObjectStore& store_ = *real_;
  Origin origin_{store_, SystemClock()};
};

INSTANTIATE_TEST_SUITE_P(Stores, OriginTest,
                         testing::ValuesIn(ConformanceProviders()),
                         [](const auto& provider) {
                           return std::string(provider.param.name);
                         });

TEST_P(OriginTest, PublishesAnImageThatResolvesByTagAndById) {
  const std::string id =
      PublishTestImage(origin_, *keys_, "app:1", 5, 1).value();
  for (const std::string& text : {std::string("app:1"), "app@" + id}) {
    const Result<ResolvedImage> image = origin_.Resolve(Name(text));
    ASSERT_TRUE(image.ok()) << image.error().message;
    EXPECT_EQ(image->manifest.id(), id);
    EXPECT_EQ(image->record.chunk_count, 5u);
    EXPECT_EQ(image->record.stored_bytes, image->manifest.stored_bytes());
    const Result<SecretKey> key =
        origin_.UnwrapDataKey(image->record, Name(text), *keys_);
    ASSERT_TRUE(key.ok()) << key.error().message;
    EXPECT_TRUE(OpenManifest::Open(Manifest(image->manifest), *key).ok());
  }
  EXPECT_EQ(origin_.Resolve(Name("app:1"))->image_digest, TestDigest());
  EXPECT_GT(origin_.ReadPointer(Name("app:1"))->created_unix_seconds, 0);
}

TEST_P(OriginTest, AStartupProfileStaysWithItsManifest) {
  const std::string id =
      PublishTestImage(origin_, *keys_, "app:1", 5, 1).value();
  EXPECT_TRUE(origin_.ReadRecord(id)->startup_chunks.empty());
  ASSERT_TRUE(origin_.SetStartupChunks(id, {4, 0}).ok());
  ASSERT_TRUE(origin_.TagImage(Name("app:1"), Name("b"), *keys_).ok());
  EXPECT_EQ(origin_.Resolve(Name("b"))->record.startup_chunks,
            (std::vector<uint32_t>{4, 0}));
  ASSERT_TRUE(origin_.SetStartupChunks(id, {}).ok());
  EXPECT_TRUE(origin_.ReadRecord(id)->startup_chunks.empty());
  // The next version keeps what it has of it: chunks 0, 2, 4.
  const WritableRoot root = origin_.OpenActiveRoot(*keys_).value();
  const TestImage next = StoreTestImage(origin_, root, 3, 2).value();
  ASSERT_TRUE(origin_
                  .PublishManifest(root.id, next.manifest, "app", {"ab", "cd"},
                                   {4, 1, 0, 900})
                  .ok());
  EXPECT_EQ(origin_.ReadRecord(next.manifest.id())->startup_chunks,
            (std::vector<uint32_t>{4, 0}));
  EXPECT_TRUE(origin_.ReadRecord(id)->startup_chunks.empty());
  EXPECT_EQ(origin_.SetStartupChunks(std::string(64, 'a'), {1}).error().code,
            Code::kNotFound);
  EXPECT_EQ(
      origin_.SetStartupChunks(id, std::vector<uint32_t>(1000)).error().code,
      Code::kInvalid);
}

TEST_P(OriginTest, SaysNotFoundForWhatWasNeverPublished) {
  EXPECT_EQ(origin_.Resolve(Name("app")).error().code, Code::kNotFound);
  EXPECT_EQ(origin_.Resolve(Name("app@" + std::string(64, 'a'))).error().code,
            Code::kNotFound);
  EXPECT_EQ(origin_.ReadPointer(Name("app")).error().code, Code::kNotFound);
  EXPECT_EQ(origin_.RemovePointer(Name("app")).error().code, Code::kNotFound);
  EXPECT_EQ(
      origin_.AddWrapping(std::string(64, 'a'), "x", {"ab", "cd"}).error().code,
      Code::kNotFound);
  EXPECT_FALSE(origin_.HasRoots().value());
  EXPECT_TRUE(origin_.ListImages()->empty());
  EXPECT_TRUE(origin_.ListRoots()->empty());
}

TEST_P(OriginTest, APointerNeedsARecordAndNoManifestId) {
  const ImagePointer pointer{.manifest_id = std::string(64, 'a')};
  EXPECT_EQ(origin_.PublishPointer(Name("app"), pointer).error().code,
            Code::kNotFound);
  EXPECT_EQ(origin_.Resolve(Name("app")).error().code, Code::kNotFound);
  EXPECT_EQ(origin_.PublishPointer(Name("app@" + std::string(64, 'a')), pointer)
                .error()
                .code,
            Code::kInvalid);
}

TEST_P(OriginTest, KeepsOneRootAndItsSalt) {
  const WritableRoot first = origin_.OpenActiveRoot(*keys_).value();
  const WritableRoot again = origin_.OpenActiveRoot(*keys_).value();
  EXPECT_TRUE(IsRootId(first.id));
  EXPECT_EQ(first.id, again.id);
  EXPECT_EQ(first.salt_id, again.salt_id);
  EXPECT_EQ(first.salt_id.size(), 16u);
  EXPECT_EQ(ToHex(first.salt.bytes()), ToHex(again.salt.bytes()));
  EXPECT_TRUE(origin_.HasRoots().value());
  const std::vector<RootRow> rows = origin_.ListRoots().value();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].state, "active");
  EXPECT_EQ(rows[0].key_ids, std::vector<std::string>{keys_->KeyId()});
}

TEST_P(OriginTest, AKeyThatWasNotAdmittedCannotConvertUntilItIs) {
  const WritableRoot root = origin_.OpenActiveRoot(*keys_).value();
  const Result<WritableRoot> denied = origin_.OpenActiveRoot(*other_keys_);
  ASSERT_EQ(denied.error().code, Code::kDenied);
  EXPECT_NE(denied.error().message.find("morsel roots admit " + root.id),
            std::string::npos);
  EXPECT_EQ(origin_.AdmitKey(root.id, *other_keys_, *other_keys_).error().code,
            Code::kDenied);
  EXPECT_EQ(
      origin_.AdmitKey("r000000000000", *keys_, *other_keys_).error().code,
      Code::kNotFound);
  EXPECT_EQ(origin_.AdmitKey("../x", *keys_, *other_keys_).error().code,
            Code::kInvalid);
  ASSERT_TRUE(origin_.AdmitKey(root.id, *keys_, *other_keys_).ok());
  ASSERT_TRUE(origin_.AdmitKey(root.id, *keys_, *other_keys_).ok());
  EXPECT_EQ(origin_.OpenActiveRoot(*other_keys_)->salt_id, root.salt_id);
  EXPECT_EQ(origin_.ListRoots()->at(0).key_ids.size(), 2u);
}

TEST_P(OriginTest, AdmissionSharesChunksButOpensNoImages) {
  const std::string id = PublishTestImage(origin_, *keys_, "a", 2, 1).value();
  const WritableRoot root = origin_.OpenActiveRoot(*keys_).value();
  ASSERT_TRUE(origin_.AdmitKey(root.id, *keys_, *other_keys_).ok());
  const ResolvedImage image = origin_.Resolve(Name("a")).value();
  EXPECT_EQ(
      origin_.UnwrapDataKey(image.record, Name("a"), *other_keys_).error().code,
      Code::kDenied);
  ASSERT_TRUE(PublishTestImage(origin_, *other_keys_, "b", 2, 1).ok());
  EXPECT_EQ(store_.List("roots/" + root.id + "/chunks/", "", 100)->rows.size(),
            2u);
}

TEST_P(OriginTest, AnOlderKeyOfARotatedFileStillOpensTheSalt) {
  const WritableRoot root = origin_.OpenActiveRoot(*keys_).value();
  const auto text = [&](const std::string& name) {
    const Bytes bytes =
        ReadWholeFile(folder_.path() + "/" + name, kMiB).value();
    return std::string(AsText(bytes));
  };
  const std::string both = text("key") + text("other");
  const std::string path = folder_.path() + "/both";
  ASSERT_TRUE(WriteFileAtomically(path, AsBytes(both), 0600).ok());
  const auto rotated = FileKeyService::Open(path).value();
  EXPECT_NE(rotated->KeyId(), keys_->KeyId());
  EXPECT_EQ(origin_.OpenActiveRoot(*rotated)->salt_id, root.salt_id);
}

TEST_P(OriginTest, ARetiredRootTakesNoConversionsAndAnExpiredOneNoTags) {
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "a:1", 2, 1).ok());
  const ImagePointer pointer = origin_.ReadPointer(Name("a:1")).value();
  const std::string root = origin_.ListRoots()->at(0).id;
  SetRootState(root, kRootRetired);
  EXPECT_EQ(origin_.OpenActiveRoot(*keys_).error().code, Code::kUnavailable);
  EXPECT_EQ(origin_.PublishPointer(Name("a:2"), pointer).error().code,
            Code::kUnavailable);
  EXPECT_EQ(origin_.ReadPointer(Name("a:2")).error().code, Code::kNotFound);
  // The announcement was taken back.
  const PointerState left = LoadPointer(store_, Name("a:2"))->value;
  EXPECT_TRUE(left.placements.at("").next.empty());
  EXPECT_TRUE(origin_.TagImage(Name("a:1"), Name("a:3"), *keys_).ok());
  SetRootState(root, kRootExpired);
  EXPECT_EQ(origin_.TagImage(Name("a:1"), Name("a:4"), *keys_).error().code,
            Code::kUnavailable);
  EXPECT_TRUE(origin_.Resolve(Name("a:3")).ok());
}

TEST_P(OriginTest, TagsGiveTheImageToAnotherName) {
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "a:1", 2, 1).ok());
  ASSERT_TRUE(origin_.TagImage(Name("a:1"), Name("b/c:2"), *keys_).ok());
  const ResolvedImage image = origin_.Resolve(Name("b/c:2")).value();
  EXPECT_TRUE(origin_.UnwrapDataKey(image.record, Name("b/c:2"), *keys_).ok());
  EXPECT_EQ(image.image_digest, TestDigest());
  EXPECT_EQ(origin_.TagImage(Name("a:1"), Name("x"), *other_keys_).error().code,
            Code::kDenied);
  EXPECT_EQ(origin_.TagImage(Name("none"), Name("x"), *keys_).error().code,
            Code::kNotFound);
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "a:1", 3, 2).ok());
  std::vector<std::string> names;
  const std::vector<ImageRow> rows = origin_.ListImages().value();
  for (const ImageRow& row : rows) names.push_back(row.name.ToString());
  EXPECT_EQ(names, (std::vector<std::string>{"a:1", "b/c:2"}));
  EXPECT_EQ(origin_.Resolve(Name("a:1"))->record.chunk_count, 3u);
  EXPECT_EQ(origin_.Resolve(Name("b/c:2"))->record.chunk_count, 2u);
}

TEST_P(OriginTest, RemovedPointersAreEmptiedAndCanBePublishedAgain) {
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "a", 2, 1).ok());
  ASSERT_TRUE(origin_.RemovePointer(Name("a")).ok());
  EXPECT_EQ(origin_.RemovePointer(Name("a")).error().code, Code::kNotFound);
  EXPECT_EQ(origin_.Resolve(Name("a")).error().code, Code::kNotFound);
  EXPECT_TRUE(origin_.ListImages()->empty());
  EXPECT_TRUE(store_.Head("images/a/latest.json").ok());
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "a", 2, 1).ok());
  EXPECT_TRUE(origin_.Resolve(Name("a")).ok());
}

TEST_P(OriginTest, ADamagedPointerHidesNoOtherAndCanBeRemoved) {
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "a", 2, 1).ok());
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "b", 2, 2).ok());
  const std::string key = "images/a/latest.json";
  for (const std::string& damage :
       {std::string("{"), std::string("{\"format\":1,\"what\":2}")}) {
    ASSERT_TRUE(store_.Put(key, AsBytes(damage)).ok());
    const std::vector<ImageRow> rows = origin_.ListImages().value();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_NE(rows[0].damage, "");
    EXPECT_EQ(rows[1].damage, "");
    EXPECT_EQ(origin_.TagImage(Name("b"), Name("a"), *keys_).error().code,
              Code::kCorrupt);
    ASSERT_TRUE(origin_.RemovePointer(Name("a")).ok());
    EXPECT_EQ(origin_.ListImages()->size(), 1u);
    EXPECT_EQ(origin_.RemovePointer(Name("a")).error().code, Code::kNotFound);
    ASSERT_TRUE(origin_.TagImage(Name("b"), Name("a"), *keys_).ok());
    EXPECT_TRUE(origin_.Resolve(Name("a")).ok());
  }
}

TEST_P(OriginTest, FindsAManifestThatMovesWhileItIsResolved) {
  const std::string id = PublishTestImage(origin_, *keys_, "a", 2, 1).value();
  const ManifestRecord record = origin_.ReadRecord(id).value();
  const std::string target = "r0000000000ff";
  ASSERT_TRUE(
      store_.Copy(ManifestKey(record.root, id), ManifestKey(target, id)).ok());
  // A store in which the record moves and the old copy goes just after the
  // record was read.
  class MovingStore final : public FilterStore {
   public:
    MovingStore(ObjectStore& next, std::function<void()> move)
        : FilterStore(next), move_(std::move(move)) {}

   private:
    Status After(const StoreCall& call, const Status& answer) override {
      if (call.key.starts_with("manifests/") && move_)
        std::exchange(move_, nullptr)();
      return answer;
    }
    std::function<void()> move_;
  };
  MovingStore moving(store_, [&] {
    Edit(RecordKey(id), record.root, target);
    ASSERT_TRUE(store_.Delete(ManifestKey(record.root, id)).ok());
  });
  Origin origin(moving, SystemClock());
  const Result<ResolvedImage> image = origin.Resolve(Name("a"));
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_EQ(image->record.root, target);
}

TEST_P(OriginTest, AnImageCannotBePutInAnothersPlace) {
  const std::string evil =
      PublishTestImage(origin_, *keys_, "evil", 2, 1).value();
  const std::string good =
      PublishTestImage(origin_, *keys_, "good", 2, 2).value();
  // The pointer shows another image's manifest.
  Edit("images/good/latest.json", good, evil);
  const ResolvedImage image = origin_.Resolve(Name("good")).value();
  EXPECT_EQ(
      origin_.UnwrapDataKey(image.record, Name("good"), *keys_).error().code,
      Code::kCorrupt);
  EXPECT_EQ(origin_.UnwrapDataKey(image.record, Name("good@" + evil), *keys_)
                .error()
                .code,
            Code::kDenied);
  // Its wrapping claims to be for this name.
  Edit(RecordKey(evil), "\"evil\"", "\"good\"");
  const ResolvedImage forged = origin_.Resolve(Name("good")).value();
  EXPECT_EQ(
      origin_.UnwrapDataKey(forged.record, Name("good"), *keys_).error().code,
      Code::kCorrupt);
  // The record of one manifest under the id of another.
  ASSERT_TRUE(store_.Copy(RecordKey(good), RecordKey(evil)).ok());
  EXPECT_EQ(origin_.Resolve(Name("good")).error().code, Code::kCorrupt);
}

TEST_P(OriginTest, ReportsDamageAndLossAtEachLevel) {
  const std::string id = PublishTestImage(origin_, *keys_, "a", 2, 1).value();
  const std::string root = origin_.ListRoots()->at(0).id;
  const std::string keys[] = {"images/a/latest.json", RecordKey(id),
                              ManifestKey(root, id), RootStateKey(root)};
  for (const std::string& key : keys) {
    const Bytes good = store_.Get(key, 0, kMiB)->bytes;
    const auto damaged = [&](const Bytes& bytes) {
      EXPECT_TRUE(store_.Put(key, bytes).ok());
      const Code code = key == RootStateKey(root)
                            ? origin_.OpenActiveRoot(*keys_).error().code
                            : origin_.Resolve(Name("a")).error().code;
      EXPECT_EQ(code, Code::kCorrupt) << key;
    };
    damaged({});
    damaged(Bytes(good.begin(), good.end() - good.size() / 2));
    damaged(Bytes(2 * kMiB));
    damaged(CopyBytes(AsBytes("[]")));
    damaged(CopyBytes(AsBytes(R"({"format":2})")));
    damaged(CopyBytes(AsBytes(R"({"format":1})")));
    ASSERT_TRUE(store_.Put(key, good).ok());
  }
  const Bytes manifest = store_.Get(ManifestKey(root, id), 0, kMiB)->bytes;
  for (size_t i = 0; i < manifest.size(); ++i) {
    Bytes flipped = manifest;
    flipped[i] ^= std::byte{1};
    ASSERT_TRUE(store_.Put(ManifestKey(root, id), flipped).ok());
    EXPECT_EQ(origin_.Resolve(Name("a")).error().code, Code::kCorrupt) << i;
  }
  ASSERT_TRUE(store_.Delete(ManifestKey(root, id)).ok());
  EXPECT_EQ(origin_.Resolve(Name("a")).error().code, Code::kCorrupt);
  ASSERT_TRUE(store_.Delete(RecordKey(id)).ok());
  EXPECT_EQ(origin_.Resolve(Name("a")).error().code, Code::kCorrupt);
}

TEST_P(OriginTest, AConverterThatDiesAtAnyStepLeavesNoHalfImage) {
  for (uint64_t step = 1;; ++step) {
    const auto made = MakeStore("store" + std::to_string(step));
    ObjectStore& store = *made;
    Origin sound(store, SystemClock());
    bool died = false;
    {
      FaultStore fault(store, {{.from_call = step}}, 1);
      Origin origin(fault, SystemClock());
      died = !PublishTestImage(origin, *keys_, "a", 3, 1).ok();
    }
    const Result<ResolvedImage> seen = sound.Resolve(Name("a"));
    if (seen.ok()) {
      for (size_t i = 0; i < seen->manifest.chunk_count(); ++i)
        EXPECT_TRUE(
            sound.ReadChunk(seen->record.root, seen->manifest.ChunkAt(i)).ok());
    } else {
      EXPECT_EQ(seen.error().code, Code::kNotFound) << "step " << step;
    }
    EXPECT_TRUE(PublishTestImage(sound, *keys_, "a", 3, 1).ok());
    EXPECT_TRUE(sound.Resolve(Name("a")).ok());
    EXPECT_EQ(sound.ListRoots()->size(), 1u);
    if (!died) {
      EXPECT_GT(step, 15u);
      break;
    }
  }
}

TEST_P(OriginTest, ALostReplyAtAnyStepLeavesNoHalfImage) {
  for (uint64_t step = 1; step < 30; ++step) {
    const auto made = MakeStore("store" + std::to_string(step));
    ObjectStore& store = *made;
    Origin sound(store, SystemClock());
    FaultStore fault(store,
                     {{.kind = FaultRule::Kind::kLostReply,
                       .code = Code::kTimeout,
                       .from_call = step,
                       .call_count = 1}},
                     1);
    Origin origin(fault, SystemClock());
    const bool published = PublishTestImage(origin, *keys_, "a", 3, 1).ok();
    const Result<ResolvedImage> seen = sound.Resolve(Name("a"));
    EXPECT_TRUE(seen.ok() || !published);
    EXPECT_TRUE(seen.ok() || seen.error().code == Code::kNotFound);
    EXPECT_TRUE(PublishTestImage(sound, *keys_, "a", 3, 1).ok());
    EXPECT_EQ(sound.ListRoots()->size(), 1u);
  }
}

TEST_P(OriginTest, GivesUpWhenItLosesEveryRace) {
  ASSERT_TRUE(PublishTestImage(origin_, *keys_, "a", 1, 1).ok());
  FaultStore fault(store_, {{.code = Code::kExists, .op = StoreOp::kReplace}},
                   1);
  Origin origin(fault, SystemClock());
  EXPECT_EQ(origin.RemovePointer(Name("a")).error().code, Code::kUnavailable);
}

class OriginRaces : public testing::TestWithParam<ConformanceProvider> {
 protected:
  void InThreads(int count, const std::function<void(int)>& run) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back([&run, i] { run(i); });
  }

  TestFolder folder_;
  std::unique_ptr<ObjectStore> store_ =
      GetParam().make(folder_.path() + "/store");
  std::unique_ptr<KeyService> keys_ = MakeTestKeys(folder_, "key");
};

TEST_P(OriginRaces, ConvertersThatMakeTheFirstRootAtOnceEndWithOne) {
  for (int round = 0; round < 5; ++round) {
    const auto made =
        GetParam().make(folder_.path() + "/store" + std::to_string(round));
    ObjectStore& store = *made;
    Mutex mutex;
    std::set<std::string> roots;
    InThreads(8, [&](int) {
      Origin origin(store, SystemClock());
      const Result<WritableRoot> root = origin.OpenActiveRoot(*keys_);
      ASSERT_TRUE(root.ok()) << root.error().message;
      const MutexLock lock(mutex);
      roots.insert(root->id + root->salt_id);
    });
    EXPECT_EQ(roots.size(), 1u);
    EXPECT_EQ(Origin(store, SystemClock()).ListRoots()->size(), 1u);
    // No salt of a loser is left.
    size_t salts = 0;
    const ObjectPage page = store.List("roots/", "", 1000).value();
    for (const auto& row : page.rows)
      salts += row.key.find("/salts/") != std::string::npos;
    EXPECT_EQ(salts, 1u);
  }
}

TEST_P(OriginRaces, ConvertersOfOneNameAllSucceedAndOneIsSeen) {
  Mutex mutex;
  std::set<std::string> ids;
  InThreads(4, [&](int i) {
    Origin origin(*store_, SystemClock());
    const Result<std::string> id =
        PublishTestImage(origin, *keys_, "a", 2, static_cast<uint8_t>(i / 2));
    ASSERT_TRUE(id.ok()) << id.error().message;
    const MutexLock lock(mutex);
    ids.insert(*id);
  });
  Origin origin(*store_, SystemClock());
  const Result<ResolvedImage> image = origin.Resolve(Name("a"));
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_TRUE(ids.contains(image->record.id));
  EXPECT_TRUE(
      LoadPointer(*store_, Name("a"))->value.placements.at("").next.empty());
}

// Publishing takes two writes, so who keeps pace with others undoes their first
// and is undone: on a slow store too, pauses must set them apart.
TEST(OriginOnASlowStore, ConvertersOfOneNameAllSucceed) {
  TestFolder folder;
  const auto keys = MakeTestKeys(folder, "key");
  MemoryStore memory;
  ThrottleStore slow(memory, SystemClock(),
                     {.delay = std::chrono::milliseconds(30)});
  ASSERT_TRUE(Origin(memory, SystemClock()).OpenActiveRoot(*keys).ok());
  std::vector<std::jthread> threads;
  for (uint8_t i = 0; i < 6; ++i)
    threads.emplace_back([&, i] {
      Origin origin(slow, SystemClock());
      const Result<std::string> id = PublishTestImage(origin, *keys, "a", 1, i);
      EXPECT_TRUE(id.ok()) << id.error().message;
    });
}

TEST_P(OriginRaces, NoWrappingIsLost) {
  Origin origin(*store_, SystemClock());
  const std::string id = PublishTestImage(origin, *keys_, "a", 1, 1).value();
  InThreads(6, [&](int i) {
    EXPECT_TRUE(
        origin.AddWrapping(id, "name" + std::to_string(i), {"ab", "cd"}).ok());
  });
  EXPECT_EQ(origin.ReadRecord(id)->wrapped_keys.size(), 7u);
}

INSTANTIATE_TEST_SUITE_P(Stores, OriginRaces,
                         testing::ValuesIn(ConformanceProviders()),
                         [](const auto& provider) {
                           return std::string(provider.param.name);
                         });

}  // namespace
}  // namespace morsel
