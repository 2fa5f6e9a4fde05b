// SPDX-License-Identifier: Apache-2.0
// Leases over an origin in memory, by a clock that the test turns.
#include "localcache/lease_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/test_clock.h"
#include "localcache/test_chunks.h"
#include "origin/alarm.h"
#include "origin/document.h"
#include "origin/record_store.h"
#include "origin/root_state.h"
#include "store/filter_store.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

// Answers writes, or everything, as it is told.
class MoodyStore final : public FilterStore {
 public:
  explicit MoodyStore(ObjectStore& next) : FilterStore(next) {}
  std::optional<Code> writes;
  std::optional<Code> all;
  int calls = 0;

 private:
  Status Before(const StoreCall& call) override {
    ++calls;
    const bool reads = call.op == StoreOp::kGet || call.op == StoreOp::kHead ||
                       call.op == StoreOp::kList;
    if (all) return MakeError(*all, "the store's mood");
    if (writes && !reads) return MakeError(*writes, "the store's mood");
    return Ok();
  }
};

class LeaseKeeperTest : public testing::Test {
 protected:
  LeaseKeeperTest() {
    for (const char* root : {kOld, kNew}) SetState(root, kRootActive);
    MoveTo(kOld);
  }
  void SetState(const char* root, std::string_view state) {
    RootState document;
    document.state = state;
    document.history = {{std::string(state), clock_.UnixSeconds()}};
    EXPECT_TRUE(
        PutDocument(memory_, RootStateKey(root), EncodeRootState(document))
            .ok());
  }
  // As a mover does; "" as a collector that deletes the manifest.
  void MoveTo(const std::string& root) {
    ManifestRecord record;
    record.id = id_;
    record.root = root;
    EXPECT_TRUE(
        PutDocument(memory_, RecordKey(id_), EncodeRecord(record)).ok());
  }
  void Pass(std::chrono::milliseconds time) {
    clock_.Advance(time);
    keeper_.DoWhatIsDue();
  }
  void Attach() {
    keeper_.Attach(id_, kOld);
    keeper_.DoWhatIsDue();
  }
  std::vector<std::string> Leases() {
    std::vector<std::string> keys;
    for (const auto& row : Must(memory_.List("leases/", "", 100)).rows)
      keys.push_back(row.key);
    return keys;
  }
  // Seconds since the lease was written, by the store's clock.
  int64_t Age() {
    const auto info = memory_.Head(LeaseKey(id_, "w1"));
    return info.ok() ? clock_.UnixSeconds() - info->modified_unix_seconds : -1;
  }
  std::vector<ShownAlarm> Alarms() { return Must(ListAlarms(memory_, false)); }

  static constexpr const char* kOld = "r111111111111";
  static constexpr const char* kNew = "r222222222222";
  const std::string id_ = std::string(64, 'a');
  TestClock clock_;
  MemoryStore memory_{clock_};
  MoodyStore store_{memory_};
  Metrics all_metrics_;
  LocalCacheMetrics metrics_{all_metrics_};
  LeaseKeeper keeper_{store_, clock_, metrics_, {.worker = "w1"}};
};

TEST_F(LeaseKeeperTest, ALeaseIsWrittenAtOnceAndEachThirdOfItsPeriod) {
  Attach();
  EXPECT_EQ(Age(), 0);
  EXPECT_EQ(metrics_.leases.value(), 1);
  Pass(seconds(299));
  EXPECT_EQ(Age(), 299);
  Pass(seconds(1));
  EXPECT_EQ(Age(), 0);
  for (int i = 0; i < 20; ++i) {
    Pass(seconds(300));
    EXPECT_EQ(Age(), 0);
  }
}

TEST_F(LeaseKeeperTest, OneManifestOfManyClientsHasOneLease) {
  Attach();
  const int calls = store_.calls;
  for (int i = 0; i < 10; ++i) Attach();
  EXPECT_EQ(store_.calls, calls);
  for (int i = 0; i < 10; ++i) keeper_.Detach(id_);
  Pass(seconds(3600));
  EXPECT_THAT(Leases(), SizeIs(1));
}

TEST_F(LeaseKeeperTest, ItEndsAMomentAfterTheLastClientAndNotForARestart) {
  Attach();
  keeper_.Detach(id_);
  Pass(seconds(29));
  EXPECT_THAT(Leases(), SizeIs(1));
  Attach();  // the child died; here is the next one
  Pass(seconds(200));
  EXPECT_THAT(Leases(), SizeIs(1));
  keeper_.Detach(id_);
  Pass(seconds(30));
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_EQ(metrics_.leases.value(), 0);
  EXPECT_EQ(keeper_.RootOf(id_), std::nullopt);
  EXPECT_EQ(keeper_.DoWhatIsDue(), Deadline::max());
}

TEST_F(LeaseKeeperTest, WhoEndsWithItsDevicesEndsTheirLeases) {
  Attach();
  keeper_.EndAll();
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(LeaseKeeperTest, ARenewalLearnsOfAMove) {
  Attach();
  EXPECT_EQ(keeper_.RootOf(id_), kOld);
  MoveTo(kNew);
  EXPECT_EQ(keeper_.RootOf(id_), kOld);
  Pass(seconds(300));
  EXPECT_EQ(keeper_.RootOf(id_), kNew);
  EXPECT_EQ(metrics_.moved_images.value(), 1u);
}

TEST_F(LeaseKeeperTest, WhoFindsNothingLooksWhereItIsNowAndTheNextOneKnows) {
  Attach();
  MoveTo(kNew);
  EXPECT_EQ(Must(keeper_.Follow(id_, kOld)), kNew);
  const int calls = store_.calls;
  EXPECT_EQ(Must(keeper_.Follow(id_, kOld)), kNew);
  EXPECT_EQ(store_.calls, calls);
  // A client that was told long ago changes nothing of it.
  Attach();
  EXPECT_EQ(keeper_.RootOf(id_), kNew);
  EXPECT_EQ(Must(keeper_.Follow(id_, kNew)), kNew);
}

TEST_F(LeaseKeeperTest, AnExpiredRootIsAnAlarmThoughNothingIsReadFromIt) {
  Attach();
  EXPECT_THAT(Alarms(), IsEmpty());
  SetState(kOld, kRootRetired);
  Pass(seconds(300));
  EXPECT_THAT(Alarms(), IsEmpty());
  SetState(kOld, kRootExpired);
  Pass(seconds(300));
  ASSERT_THAT(Alarms(), SizeIs(1));
  EXPECT_EQ(Alarms()[0].alarm.worker, "w1");
  EXPECT_EQ(Alarms()[0].alarm.reader, "a device of w1");
  EXPECT_EQ(Alarms()[0].alarm.root, kOld);
  EXPECT_EQ(metrics_.alarms.value(), 1u);
}

TEST_F(LeaseKeeperTest, AReadThatMeetsAnExpiredRootRaisesItAtOnce) {
  Attach();
  SetState(kOld, kRootExpired);
  EXPECT_EQ(Must(keeper_.Follow(id_, kOld)), kOld);
  keeper_.DoWhatIsDue();
  EXPECT_THAT(Alarms(), SizeIs(1));
}

TEST_F(LeaseKeeperTest, WhoMayNotWriteFollowsAllTheSame) {
  store_.writes = Code::kDenied;
  Attach();
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_EQ(metrics_.leases.value(), 0);
  EXPECT_EQ(metrics_.lease_errors.value(), 1u);
  MoveTo(kNew);
  Pass(seconds(300));
  EXPECT_EQ(keeper_.RootOf(id_), kNew);
  // And begins as soon as it may.
  store_.writes.reset();
  Pass(seconds(300));
  EXPECT_THAT(Leases(), SizeIs(1));
}

TEST_F(LeaseKeeperTest, AnOriginThatIsAwayIsAskedAgainEachHalfMinute) {
  store_.all = Code::kUnavailable;
  Attach();
  const int calls = store_.calls;
  Pass(seconds(29));
  EXPECT_EQ(store_.calls, calls);
  Pass(seconds(1));
  EXPECT_GT(store_.calls, calls);
  EXPECT_EQ(keeper_.Follow(id_, kOld).error().code, Code::kUnavailable);
  store_.all.reset();
  Pass(seconds(30));
  EXPECT_EQ(Age(), 0);
}

TEST_F(LeaseKeeperTest, ACollectedImageHasNoLeaseAndNoRoot) {
  Attach();
  MoveTo("");
  Pass(seconds(300));
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_EQ(keeper_.Follow(id_, kOld).error().code, Code::kNotFound);
  keeper_.Detach(id_);
  Pass(seconds(30));
  EXPECT_EQ(keeper_.RootOf(id_), std::nullopt);
}

TEST_F(LeaseKeeperTest, ItsThreadWorksByItself) {
  LeaseKeeper keeper(store_, SystemClock(), metrics_, {.worker = "w2"});
  keeper.Start();
  keeper.Attach(id_, kOld);
  const std::string key = LeaseKey(id_, "w2");
  while (!memory_.Head(key).ok()) std::this_thread::yield();
  keeper.EndAll();
  EXPECT_THAT(Leases(), IsEmpty());
}

}  // namespace
}  // namespace morsel
