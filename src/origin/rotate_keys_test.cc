// SPDX-License-Identifier: Apache-2.0
#include "origin/rotate_keys.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "base/fd.h"
#include "origin/record_store.h"
#include "origin/test_image.h"
#include "store/fault_store.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

ImageName Name(std::string_view text) { return ImageName::Parse(text).value(); }

class RotateKeysTest : public testing::Test {
 protected:
  std::string Publish(const std::string& name, KeyService& keys, uint8_t seed) {
    return PublishTestImage(origin_, keys, name, 3, seed).value();
  }
  bool Opens(const std::string& name, KeyService& keys) {
    const ResolvedImage image = origin_.Resolve(Name(name)).value();
    const Result<SecretKey> key =
        origin_.UnwrapDataKey(image.record, Name(name), keys);
    return key.ok() && OpenManifest::Open(Manifest(image.manifest), *key).ok();
  }
  // A key file with a new key beside the old one.
  std::unique_ptr<KeyService> AddKey() {
    CHECK(FileKeyService::Add(folder_.path() + "/key", SystemRandom()).ok());
    return FileKeyService::Open(folder_.path() + "/key").value();
  }
  // The new key alone, as after the old one's line was deleted.
  std::unique_ptr<KeyService> NewestAlone() {
    const Bytes text = ReadWholeFile(folder_.path() + "/key", kMiB).value();
    std::string line(AsText(text));
    line = line.substr(line.rfind('\n', line.size() - 2) + 1);
    const std::string path = folder_.path() + "/newest";
    CHECK(WriteFileAtomically(path, AsBytes(line), 0600).ok());
    return FileKeyService::Open(path).value();
  }
  std::set<std::string> Keys() {
    std::set<std::string> keys;
    const ObjectPage page = store_.List("roots/", "", 10000).value();
    for (const ObjectPage::Row& row : page.rows)
      keys.insert(row.key + " " + row.info.version);
    return keys;
  }

  TestFolder folder_;
  std::unique_ptr<KeyService> old_ = MakeTestKeys(folder_, "key");
  MemoryStore store_;
  Origin origin_{store_, SystemClock()};
};

TEST_F(RotateKeysTest, RewrapsRecordsAndSaltsAndTouchesNothingElse) {
  Publish("app:1", *old_, 1);
  Publish("other:1", *old_, 2);
  const std::set<std::string> before = Keys();
  const auto both = AddKey();
  const RotationReport report = RotateKeys(store_, *both, false).value();
  EXPECT_EQ(report.record_count, 2u);
  EXPECT_EQ(report.rewrapped_count, 2u);
  EXPECT_EQ(report.salt_count, 1u);
  EXPECT_TRUE(report.damages.empty());
  // Below roots/ only the salt's new wrapping was added.
  const std::set<std::string> after = Keys();
  EXPECT_EQ(after.size(), before.size() + 1);
  for (const std::string& key : before) EXPECT_TRUE(after.contains(key)) << key;

  const auto newest = NewestAlone();
  EXPECT_TRUE(Opens("app:1", *newest));
  EXPECT_TRUE(Opens("other:1", *newest));
  EXPECT_FALSE(Opens("app:1", *old_));
  EXPECT_TRUE(origin_.OpenActiveRoot(*newest).ok());
  EXPECT_EQ(RotateKeys(store_, *both, false)->rewrapped_count, 0u);
  EXPECT_EQ(RotateKeys(store_, *both, true)->rewrapped_count, 2u);
}

TEST_F(RotateKeysTest, LeavesWhatOtherKeysWrapped) {
  const auto stranger = MakeTestKeys(folder_, "stranger");
  Publish("app:1", *old_, 1);
  const std::string root = origin_.OpenActiveRoot(*old_)->id;
  ASSERT_TRUE(origin_.AdmitKey(root, *old_, *stranger).ok());
  Publish("theirs:1", *stranger, 2);
  const auto both = AddKey();
  const RotationReport report = RotateKeys(store_, *both, false).value();
  EXPECT_EQ(report.rewrapped_count, 1u);
  EXPECT_EQ(report.foreign_count, 1u);
  EXPECT_TRUE(Opens("theirs:1", *stranger));
  EXPECT_FALSE(Opens("theirs:1", *both));
}

TEST_F(RotateKeysTest, NamesADamagedWrappingAndGoesOn) {
  const std::string id = Publish("app:1", *old_, 1);
  Publish("other:1", *old_, 2);
  Versioned<ManifestRecord> record = LoadRecord(store_, id).value();
  std::string& blob = record.value.wrapped_keys["app"].blob_hex;
  blob[0] = blob[0] == '0' ? '1' : '0';
  Json json = EncodeRecord(record.value);
  json["format"] = 1;
  ASSERT_TRUE(store_.Put(RecordKey(id), AsBytes(json.Dump())).ok());
  const auto both = AddKey();
  const RotationReport report = RotateKeys(store_, *both, false).value();
  ASSERT_EQ(report.damages.size(), 1u);
  EXPECT_NE(report.damages[0].find(RecordKey(id)), std::string::npos);
  EXPECT_TRUE(Opens("other:1", *both));
}

TEST_F(RotateKeysTest, StoppedAtAnyWriteItCanBeBegunAgain) {
  for (uint64_t stop = 1; stop <= 4; ++stop) {
    const std::string name = "app" + std::to_string(stop);
    Publish(name + ":1", *old_, static_cast<uint8_t>(stop));
    const auto both = AddKey();
    FaultRule rule;
    rule.op = StoreOp::kReplace;
    rule.from_call = stop;
    rule.call_count = 1;
    rule.kind =
        stop % 2 == 0 ? FaultRule::Kind::kLostReply : FaultRule::Kind::kError;
    FaultStore faulty(store_, {rule}, 1);
    static_cast<void>(RotateKeys(faulty, *both, false));
    ASSERT_TRUE(RotateKeys(store_, *both, false).ok());
    EXPECT_TRUE(Opens(name + ":1", *NewestAlone()));
    old_ = AddKey();
  }
}

TEST_F(RotateKeysTest, RunsBesideOthersThatChangeRecords) {
  std::vector<std::string> ids;
  for (uint8_t i = 0; i < 8; ++i)
    ids.push_back(Publish("app" + std::to_string(i) + ":1", *old_, i));
  const auto both = AddKey();
  {
    std::jthread tagger([&] {
      for (int i = 0; i < 8; ++i) {
        const std::string from = "app" + std::to_string(i) + ":1";
        EXPECT_TRUE(origin_.TagImage(Name(from), Name("t" + from), *both).ok());
      }
    });
    std::jthread other(
        [&] { EXPECT_TRUE(RotateKeys(store_, *both, false).ok()); });
    EXPECT_TRUE(RotateKeys(store_, *both, false).ok());
  }
  EXPECT_TRUE(RotateKeys(store_, *both, false).ok());
  const auto newest = NewestAlone();
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(Opens("app" + std::to_string(i) + ":1", *newest));
    EXPECT_TRUE(Opens("tapp" + std::to_string(i) + ":1", *newest));
  }
}

}  // namespace
}  // namespace morsel
