// SPDX-License-Identifier: Apache-2.0
#include "gc/collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/mutex.h"
#include "gc/births.h"
#include "gc/check.h"
#include "gc/each_key.h"
#include "gc/references.h"
#include "origin/document.h"
#include "origin/record_store.h"
#include "origin/root_state.h"
#include "origin/test_image.h"
#include "store/conformance.h"
#include "store/filter_store.h"

namespace morsel {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StoreClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point Now() override {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(now));
  }
  int64_t UnixSeconds() override { return now; }

  int64_t now = 1'000'000;
};

// A store whose objects were modified when the test's clock says so: the real
// ones cannot wait for a day.
class ClockStore final : public FilterStore {
 public:
  ClockStore(ObjectStore& next, Clock& clock)
      : FilterStore(next), clock_(clock) {}

  Result<ObjectData> Get(std::string_view key, uint64_t offset,
                         uint64_t limit_bytes) override {
    auto data = FilterStore::Get(key, offset, limit_bytes);
    if (data.ok()) SetTime(key, data->info);
    return data;
  }
  Result<ObjectInfo> Head(std::string_view key) override {
    auto info = FilterStore::Head(key);
    if (info.ok()) SetTime(key, *info);
    return info;
  }
  Result<ObjectPage> List(std::string_view prefix, std::string_view after,
                          size_t limit) override {
    auto page = FilterStore::List(prefix, after, limit);
    if (page.ok())
      for (ObjectPage::Row& row : page->rows) SetTime(row.key, row.info);
    return page;
  }

 private:
  Status After(const StoreCall& call, const Status& answer) override {
    const bool wrote =
        call.op == StoreOp::kPut || call.op == StoreOp::kPutIfAbsent ||
        call.op == StoreOp::kReplace || call.op == StoreOp::kCopy;
    const MutexLock lock(mutex_);
    if (answer.ok() && wrote)
      times_[std::string(call.key)] = clock_.UnixSeconds();
    return answer;
  }
  void SetTime(std::string_view key, ObjectInfo& info) {
    const MutexLock lock(mutex_);
    const auto found = times_.find(std::string(key));
    if (found != times_.end()) info.modified_unix_seconds = found->second;
  }

  Clock& clock_;
  Mutex mutex_;
  std::map<std::string, int64_t> times_ GUARDED_BY(mutex_);
};

class CollectorTest : public ::testing::TestWithParam<ConformanceProvider> {
 protected:
  CollectorTest()
      : real_(GetParam().make(folder_.path() + "/store")),
        store_(*real_, clock_),
        origin_(store_, clock_),
        keys_(MakeTestKeys(folder_, "key")) {
    options_.thread_count = 4;
  }

  std::string Publish(const std::string& name, uint8_t seed) {
    auto id = PublishTestImage(origin_, *keys_, name, 3, seed);
    EXPECT_TRUE(id.ok()) << id.error().message;
    return id.ok() ? *id : "";
  }
  std::string MakeRoot() {
    auto id = origin_.CreateRoot(*keys_, SystemRandom(), "", "");
    EXPECT_TRUE(id.ok());
    return *id;
  }
  // The root of the first images retires; a new one is there.
  std::string Rotate() {
    const auto roots = LoadRoots(store_);
    std::string old;
    for (const Root& root : *roots)
      if (root.Is(kRootActive)) old = root.id;
    MakeRoot();
    EXPECT_TRUE(RetireRoot(store_, clock_, old).ok());
    return old;
  }
  // As if another root's state had been put in its place.
  void CallDeleted(const std::string& root) {
    const auto state = ReadDocument(store_, RootStateKey(root));
    Json wrong = state->json;
    wrong["state"] = std::string(kRootDeleted);
    Json step;
    step["state"] = std::string(kRootDeleted);
    step["at"] = int64_t{1};
    wrong["history"].Append(std::move(step));
    ASSERT_TRUE(ReplaceDocument(store_, RootStateKey(root), std::move(wrong),
                                state->info.version)
                    .ok());
  }
  RootReport Collect(const std::string& root) {
    const auto report = CollectGarbage(store_, clock_, options_);
    EXPECT_TRUE(report.ok());
    for (const RootReport& row : report->roots)
      if (row.root == root) return row;
    return {};
  }
  void Pass(std::chrono::seconds time) { clock_.now += time.count(); }
  std::string StateOf(const std::string& root) {
    return LoadRoot(store_, root)->state.state;
  }
  std::string RootOf(const std::string& id) {
    return LoadRecord(store_, id)->value.root;
  }
  uint64_t CountBelow(const std::string& prefix) {
    uint64_t count = 0;
    EXPECT_TRUE(ForEachKey(store_, prefix, [&](const ObjectPage::Row&) {
                  ++count;
                  return Ok();
                }).ok());
    return count;
  }
  // Until the root's end, by as many passes as it takes.
  void CollectToTheEnd(const std::string& root) {
    for (int i = 0; i < 6 && StateOf(root) != kRootDeleted; ++i) {
      Pass(options_.min_retired + std::chrono::seconds(1));
      EXPECT_THAT(Collect(root).error, IsEmpty());
    }
    EXPECT_EQ(StateOf(root), kRootDeleted);
  }
  std::vector<GcProblem> Problems() {
    const auto check = CheckInvariants(store_, clock_.now);
    EXPECT_TRUE(check.ok());
    return check->problems;
  }

  TestFolder folder_;
  StoreClock clock_;
  const std::unique_ptr<ObjectStore> real_;
  ClockStore store_;
  Origin origin_;
  std::unique_ptr<KeyService> keys_;
  GcOptions options_;
};

TEST_P(CollectorTest, ARootWithNothingReferencedIsDeletedButItsState) {
  const std::string id = Publish("a", 1);
  const std::string old = Rotate();
  ASSERT_TRUE(origin_.RemovePointer(*ImageName::Parse("a")).ok());
  CollectToTheEnd(old);
  EXPECT_EQ(CountBelow("roots/" + old + "/"), 1u);
  EXPECT_EQ(RootOf(id), "");
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_P(CollectorTest, AnImageMovesWithAllItsChunksAndStaysReadable) {
  const std::string id = Publish("a", 1);
  const std::string old = Rotate();
  const RootReport report = Collect(old);
  EXPECT_EQ(report.moved_manifests, 1u);
  EXPECT_EQ(report.copied_chunks, 3u);
  EXPECT_NE(RootOf(id), old);
  CollectToTheEnd(old);
  const auto image = origin_.Resolve(*ImageName::Parse("a"));
  ASSERT_TRUE(image.ok());
  for (size_t i = 0; i < image->manifest.chunk_count(); ++i)
    EXPECT_TRUE(
        origin_.ReadChunk(image->record.root, image->manifest.ChunkAt(i)).ok());
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_P(CollectorTest, AChunkOfTwoImagesIsCopiedOnce) {
  options_.thread_count = 1;  // two at once may both copy it, to no harm
  Publish("a", 1);
  Publish("b", 1);
  const std::string old = Rotate();
  const RootReport report = Collect(old);
  EXPECT_EQ(report.moved_manifests, 2u);
  EXPECT_EQ(report.copied_chunks, 3u);
}

TEST_P(CollectorTest, ARootStaysRetiredForItsTime) {
  Publish("a", 1);
  const std::string root = Rotate();
  Collect(root);
  Pass(options_.min_retired - std::chrono::seconds(10));
  EXPECT_EQ(Collect(root).state_after, kRootRetired);
  Pass(std::chrono::seconds(11));
  EXPECT_EQ(Collect(root).state_after, kRootExpired);
}

TEST_P(CollectorTest, AnAttachedDeviceKeepsItsImageThoughItsTagMovedOn) {
  const std::string id = Publish("a", 1);
  ASSERT_TRUE(RenewLease(store_, clock_, id, "w1", "test").ok());
  Publish("a", 2);
  const std::string old = Rotate();
  Collect(old);
  EXPECT_NE(RootOf(id), old);
  const auto renewed = RenewLease(store_, clock_, id, "w1", "test");
  ASSERT_TRUE(renewed.ok());
  EXPECT_EQ(renewed->record.root, RootOf(id));
}

// A function names a manifest as a pointer does.
TEST_P(CollectorTest, WhatAFunctionNamesMovesAndStays) {
  const std::string id = Publish("a", 1);
  const std::string key = "functions/resize.json";
  Json slot;
  slot["current"] = id;
  slot["next"] = Json();
  Json function;
  function["placements"][""] = std::move(slot);
  ASSERT_TRUE(CreateDocument(store_, key, std::move(function)).ok());
  ASSERT_TRUE(origin_.RemovePointer(ImageName::Parse("a").value()).ok());
  const std::string old = Rotate();
  CollectToTheEnd(old);
  const std::string now = RootOf(id);
  EXPECT_NE(now, old);
  EXPECT_TRUE(store_.Head(ManifestKey(now, id)).ok());
  EXPECT_THAT(Problems(), IsEmpty());
  // Emptied, as it would be with the function: garbage goes with its root.
  const auto document = ReadDocument(store_, key);
  Json emptied = document->json;
  emptied["placements"] = Json(Json::Object());
  ASSERT_TRUE(
      ReplaceDocument(store_, key, std::move(emptied), document->info.version)
          .ok());
  Rotate();
  CollectToTheEnd(now);
  EXPECT_THAT(RootOf(id), IsEmpty());
}

TEST_P(CollectorTest, WhatWasBornInAnotherRootIsCounted) {
  Publish("a", 1);
  Publish("b", 1);
  const std::string old = Rotate();
  Collect(old);
  const std::string now = RootOf(Publish("c", 1));
  ASSERT_NE(now, old);
  // Damage hides nothing else.
  ASSERT_TRUE(
      store_.Put("roots/" + now + "/manifests/junk", AsBytes("x")).ok());
  const auto births = MeasureBirths(store_, now, 2);
  ASSERT_TRUE(births.ok()) << births.error().message;
  ASSERT_EQ(births->size(), 1u);
  EXPECT_EQ(births->front().root, old);
  EXPECT_EQ(births->front().manifests, 2u);
  // Of both images, once.
  EXPECT_EQ(births->front().chunks, CountBelow("roots/" + old + "/chunks/"));
  EXPECT_GT(births->front().stored_bytes, 0u);
}

// Its state is another root's: nothing that is named is lost.
TEST_P(CollectorTest, ARootThatIsNotDeletedAtAllLosesNothing) {
  const std::string id = Publish("a", 1);
  const std::string garbage = Publish("b", 2);
  ASSERT_TRUE(origin_.RemovePointer(ImageName::Parse("b").value()).ok());
  const std::string old = Rotate();
  CallDeleted(old);
  const auto report = CollectGarbage(store_, clock_, options_);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->alarms.size(), 1u);
  EXPECT_NE(RootOf(id), old);
  EXPECT_TRUE(store_.Head(ManifestKey(old, garbage)).ok());
  EXPECT_THAT(Problems(), testing::Not(IsEmpty()));  // what is not swept yet
  ASSERT_TRUE(AcknowledgeAlarm(store_, report->alarms.front()).ok());
  EXPECT_THAT(Collect(old).error, IsEmpty());
  EXPECT_THAT(RootOf(garbage), IsEmpty());
  EXPECT_EQ(CountBelow("roots/" + old + "/"), 1u);
}

TEST_P(CollectorTest, ADamagedManifestKeepsARootThatIsNotDeletedAtAll) {
  const std::string id = Publish("a", 1);
  const std::string old = Rotate();
  ASSERT_TRUE(store_.Put(ManifestKey(old, id), AsBytes("damaged")).ok());
  CallDeleted(old);
  const uint64_t before = CountBelow("roots/" + old + "/");
  for (int pass = 0; pass < 2; ++pass) {
    EXPECT_THAT(Collect(old).error, HasSubstr(id));
    EXPECT_EQ(CountBelow("roots/" + old + "/"), before);
    EXPECT_EQ(RootOf(id), old);
  }
  EXPECT_EQ(ListAlarms(store_, false)->size(), 1u);
}

TEST_P(CollectorTest, APinKeepsAndADeadLeaseDoesNot) {
  const std::string pinned = Publish("a", 1);
  ASSERT_TRUE(PinManifest(store_, pinned, "registry").ok());
  const std::string leased = Publish("b", 2);
  ASSERT_TRUE(RenewLease(store_, clock_, leased, "w1", "test").ok());
  ASSERT_TRUE(origin_.RemovePointer(*ImageName::Parse("a")).ok());
  ASSERT_TRUE(origin_.RemovePointer(*ImageName::Parse("b")).ok());
  const std::string old = Rotate();
  CollectToTheEnd(old);
  EXPECT_NE(RootOf(pinned), old);
  EXPECT_NE(RootOf(pinned), "");
  EXPECT_EQ(RootOf(leased), "");
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_P(CollectorTest, ALeaseThatIsDeadForADayIsDeletedAndALiveOneNot) {
  const std::string id = Publish("a", 1);
  ASSERT_TRUE(RenewLease(store_, clock_, id, "w1", "test").ok());
  Pass(std::chrono::hours(23));
  ASSERT_TRUE(RenewLease(store_, clock_, id, "w2", "test").ok());
  EXPECT_EQ(CollectGarbage(store_, clock_, options_)->dead_leases, 0u);
  Pass(std::chrono::hours(1) + std::chrono::seconds(1));
  options_.dry_run = true;
  EXPECT_EQ(CollectGarbage(store_, clock_, options_)->dead_leases, 1u);
  EXPECT_EQ(CountBelow("leases/"), 2u);
  options_.dry_run = false;
  EXPECT_EQ(CollectGarbage(store_, clock_, options_)->dead_leases, 1u);
  EXPECT_FALSE(store_.Head(LeaseKey(id, "w1")).ok());
  EXPECT_TRUE(store_.Head(LeaseKey(id, "w2")).ok());
}

std::string NameOfStore(
    const testing::TestParamInfo<ConformanceProvider>& provider) {
  return provider.param.name;
}

INSTANTIATE_TEST_SUITE_P(Stores, CollectorTest,
                         testing::ValuesIn(ConformanceProviders()),
                         NameOfStore);

// What a broken migration would do: the root expires with an image in it.
class LeftBehindTest : public CollectorTest {
 protected:
  void Expire(const std::string& root) {
    ASSERT_TRUE(AdvanceRoot(store_, clock_, *LoadRoot(store_, root)).ok());
  }
};

INSTANTIATE_TEST_SUITE_P(Stores, LeftBehindTest,
                         testing::ValuesIn(ConformanceProviders()),
                         NameOfStore);

TEST_P(LeftBehindTest, AReaderOfAnExpiredRootRaisesAnAlarmAndReadsOn) {
  const std::string id = Publish("a", 1);
  const std::string old = Rotate();
  Expire(old);
  const auto record = RenewLease(store_, clock_, id, "w1", "a device");
  ASSERT_TRUE(record.ok());
  const auto alarms = ListAlarms(store_, /*all=*/false);
  ASSERT_EQ(alarms->size(), 1u);
  EXPECT_EQ(alarms->front().alarm.root, old);
  EXPECT_EQ(alarms->front().alarm.manifest_id, id);
  EXPECT_EQ(alarms->front().alarm.reader, "a device");
}

TEST_P(LeftBehindTest, TheCollectorFindsItMovesItAndDeletesNothing) {
  const std::string id = Publish("a", 1);
  Publish("b", 2);
  ASSERT_TRUE(origin_.RemovePointer(*ImageName::Parse("b")).ok());
  const std::string old = Rotate();
  Expire(old);
  const uint64_t before = CountBelow("roots/" + old + "/");
  Pass(3 * kLeasePeriod + std::chrono::seconds(1));
  Collect(old);
  EXPECT_NE(RootOf(id), old);
  Collect(old);
  EXPECT_EQ(CountBelow("roots/" + old + "/"), before);
  const auto alarms = ListAlarms(store_, /*all=*/false);
  ASSERT_EQ(alarms->size(), 1u);
  ASSERT_TRUE(AcknowledgeAlarm(store_, alarms->front()).ok());
  Collect(old);
  EXPECT_EQ(StateOf(old), kRootDeleted);
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_P(LeftBehindTest, ADryRunSpeaksOfNoAlarmAsRaised) {
  Publish("a", 1);
  const std::string old = Rotate();
  Expire(old);
  Pass(3 * kLeasePeriod + std::chrono::seconds(1));
  options_.dry_run = true;
  EXPECT_THAT(Collect(old).next_step, HasSubstr("would"));
  EXPECT_THAT(ListAlarms(store_, /*all=*/true).value(), IsEmpty());
  ASSERT_TRUE(origin_.RemovePointer(*ImageName::Parse("a")).ok());
  EXPECT_THAT(Collect(old).next_step, HasSubstr("would"));
  EXPECT_EQ(StateOf(old), kRootExpired);
}

// Calls `hook` once, before the first call that `when` picks.
class HookStore final : public FilterStore {
 public:
  HookStore(ObjectStore& next, std::function<bool(const StoreCall&)> when,
            std::function<void()> hook)
      : FilterStore(next), when_(std::move(when)), hook_(std::move(hook)) {}

 private:
  Status Before(const StoreCall& call) override {
    if (hook_ && when_(call)) std::exchange(hook_, nullptr)();
    return Ok();
  }

  std::function<bool(const StoreCall&)> when_;
  std::function<void()> hook_;
};

// A worker was cut off for longer than a lease. It comes back while its root is
// being deleted: its alarm stops that within a batch, its image reads on, and
// moves; when the alarm was seen, the deletion comes to its end.
TEST_P(LeftBehindTest, TheAlarmOfALateReaderStopsDeletionWithinOneBatch) {
  std::vector<std::string> ids;
  for (uint8_t i = 0; i < 6; ++i) {
    const std::string name = "i" + std::to_string(i);
    ids.push_back(Publish(name, i));
    ASSERT_TRUE(origin_.RemovePointer(*ImageName::Parse(name)).ok());
  }
  const std::string late = *std::max_element(ids.begin(), ids.end());
  ASSERT_TRUE(RenewLease(store_, clock_, late, "w1", "a device").ok());
  const std::string old = Rotate();
  Expire(old);
  Pass(3 * kLeasePeriod + std::chrono::seconds(1));
  const uint64_t before = CountBelow("roots/" + old + "/");
  options_.batch_size = 2;
  options_.thread_count = 1;
  HookStore hooked(
      store_,
      [](const StoreCall& call) {
        return call.op == StoreOp::kReplace &&
               call.key.starts_with("manifests");
      },
      [&] {
        EXPECT_TRUE(RenewLease(store_, clock_, late, "w1", "a device").ok());
      });
  const auto report = CollectGarbage(hooked, clock_, options_);
  ASSERT_TRUE(report.ok());
  EXPECT_LE(report->roots.front().emptied_records, 2u);
  EXPECT_THAT(report->roots.front().next_step, HasSubstr("stopped by 1 alarm"));
  EXPECT_EQ(CountBelow("roots/" + old + "/"), before);
  ASSERT_EQ(report->alarms.size(), 1u);
  EXPECT_EQ(report->alarms.front().alarm.reader, "a device");
  EXPECT_EQ(report->alarms.front().alarm.manifest_id, late);

  Collect(old);  // repairs
  EXPECT_NE(RootOf(late), old);
  EXPECT_NE(RootOf(late), "");
  EXPECT_EQ(StateOf(old), kRootExpired);
  const auto alarms = ListAlarms(store_, /*all=*/false);
  for (const ShownAlarm& alarm : *alarms)
    ASSERT_TRUE(AcknowledgeAlarm(store_, alarm).ok());
  Collect(old);
  EXPECT_EQ(StateOf(old), kRootDeleted);
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_P(LeftBehindTest, ADeletionThatIsToldToStopGoesOnInTheNextPass) {
  Publish("a", 1);
  ASSERT_TRUE(origin_.RemovePointer(*ImageName::Parse("a")).ok());
  const std::string old = Rotate();
  Expire(old);
  Pass(3 * kLeasePeriod + std::chrono::seconds(1));
  int looks = 0;
  options_.batch_size = 1;
  options_.must_stop = [&] { return ++looks > 3; };
  const RootReport report = Collect(old);
  EXPECT_EQ(report.state_after, kRootExpired);
  EXPECT_THAT(report.next_step, HasSubstr("the next pass goes on"));
  EXPECT_EQ(report.deleted_objects, 2u);  // and one record was emptied
  options_.must_stop = nullptr;
  EXPECT_EQ(Collect(old).state_after, kRootDeleted);
}

TEST_P(LeftBehindTest, AnAlarmThatIsRaisedAgainIsNotAcknowledgedByTheOldSight) {
  const std::string id = Publish("a", 1);
  const std::string old = Rotate();
  Expire(old);
  ASSERT_TRUE(RenewLease(store_, clock_, id, "w1", "x").ok());
  const auto shown = ListAlarms(store_, false);
  ASSERT_TRUE(AcknowledgeAlarm(store_, shown->front()).ok());
  ASSERT_TRUE(RenewLease(store_, clock_, id, "w1", "x").ok());
  EXPECT_EQ(ListAlarms(store_, false)->size(), 1u);
  EXPECT_EQ(AcknowledgeAlarm(store_, shown->front()).error().code,
            Code::kExists);
}

TEST_P(LeftBehindTest, NothingIsPinnedInAnExpiredRoot) {
  const std::string id = Publish("a", 1);
  Expire(Rotate());
  EXPECT_EQ(PinManifest(store_, id, "x").error().code, Code::kUnavailable);
  EXPECT_EQ(CountBelow("pins/"), 0u);
}

TEST_P(LeftBehindTest, TheCheckNamesIt) {
  Publish("a", 1);
  const std::string old = Rotate();
  Expire(old);
  const auto problems = Problems();
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems.front().what, HasSubstr("expired"));
}

TEST_P(CollectorTest, AMissingChunkKeepsTheRootAndIsNamed) {
  const std::string id = Publish("a", 1);
  const std::string old = Rotate();
  const auto image = origin_.Resolve(*ImageName::Parse("a"));
  const std::string chunk = ChunkKey(old, image->manifest.ChunkAt(0).name);
  ASSERT_TRUE(store_.Delete(chunk).ok());
  Pass(options_.min_retired * 2);
  const RootReport report = Collect(old);
  EXPECT_THAT(report.error, HasSubstr(id));
  EXPECT_EQ(StateOf(old), kRootRetired);
}

TEST_P(CollectorTest, ADryRunChangesNothing) {
  Publish("a", 1);
  const std::string old = Rotate();
  options_.dry_run = true;
  const RootReport report = Collect(old);
  EXPECT_EQ(report.referenced_manifests, 1u);
  EXPECT_EQ(report.moved_manifests, 0u);
  EXPECT_EQ(CountBelow("roots/" + old + "/manifests/"), 1u);
}

TEST_P(CollectorTest, TheLastActiveRootCannotRetire) {
  Publish("a", 1);
  const std::string root = LoadRoots(store_)->front().id;
  EXPECT_EQ(RetireRoot(store_, clock_, root).error().code, Code::kInvalid);
}

// A converter that sleeps before its pointer write until its root is gone.
TEST_P(CollectorTest, APointerIntoADeletedRootIsTakenBack) {
  Publish("a", 9);
  const auto root = origin_.OpenActiveRoot(*keys_);
  const auto image = StoreTestImage(origin_, *root, 3, 1);
  const auto wrapped = keys_->Wrap(image->data_key, "b");
  ASSERT_TRUE(
      origin_.PublishManifest(root->id, image->manifest, "b", *wrapped).ok());
  const std::string old = Rotate();
  CollectToTheEnd(old);
  const Status published = origin_.PublishPointer(
      *ImageName::Parse("b"),
      {.image_digest = TestDigest(), .manifest_id = image->manifest.id()});
  // By this code a convert knows that it has to publish again elsewhere.
  ASSERT_EQ(published.error().code, Code::kUnavailable);
  EXPECT_EQ(origin_.ReadPointer(*ImageName::Parse("b")).error().code,
            Code::kNotFound);
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_P(CollectorTest, WhatLatecomersPutIntoADeletedRootIsSwept) {
  Publish("a", 1);
  const std::string old = Rotate();
  CollectToTheEnd(old);
  const Bytes late(kPageSize, std::byte{7});
  bool was_absent = false;
  ASSERT_TRUE(
      origin_.PutChunk(old, ChunkName(Sha256Of(late)), late, &was_absent).ok());
  EXPECT_EQ(Problems().size(), 1u);
  Collect(old);
  EXPECT_EQ(CountBelow("roots/" + old + "/"), 1u);
}

}  // namespace
}  // namespace morsel
