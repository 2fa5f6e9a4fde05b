// SPDX-License-Identifier: Apache-2.0
// A mover that others overtake. That it moves at all is shown in
// collector_test.cc.
#include "gc/move.h"

#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "gc/survey.h"
#include "origin/record_store.h"
#include "origin/test_image.h"
#include "store/filter_store.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

// Before a change of a record something else happens: the first one (the
// announcement of a move), or the one after it.
class SleepyStore final : public FilterStore {
 public:
  SleepyStore(ObjectStore& next, int change, std::function<void()> meanwhile)
      : FilterStore(next), change_(change), meanwhile_(std::move(meanwhile)) {}

 private:
  Status Before(const StoreCall& call) override {
    if (call.op == StoreOp::kReplace && call.key.starts_with("manifests/") &&
        --change_ == 0)
      meanwhile_();
    return Ok();
  }

  int change_;
  const std::function<void()> meanwhile_;
};

class MoveTest : public testing::Test {
 protected:
  std::string MakeRoot() {
    return origin_.CreateRoot(*keys_, SystemRandom(), "", "").value();
  }
  Root Load(const std::string& id) { return LoadRoot(store_, id).value(); }
  void Advance(const std::string& id) {
    ASSERT_TRUE(AdvanceRoot(store_, SystemClock(), Load(id)).ok());
  }

  TestFolder folder_;
  std::unique_ptr<KeyService> keys_ = MakeTestKeys(folder_, "key");
  MemoryStore store_;
  Origin origin_{store_, SystemClock()};
};

TEST_F(MoveTest, ATargetThatIsGoneWhenTheMoverWakesGetsNothing) {
  const std::string source = MakeRoot();
  const std::string id =
      PublishTestImage(origin_, *keys_, "a", 3, /*seed=*/1).value();
  const std::string target = MakeRoot();
  Advance(source);
  std::string fresh;
  SleepyStore sleepy(store_, 1, [&] {
    fresh = MakeRoot();
    for (int step = 0; step < 3; ++step) Advance(target);
  });
  Mover mover(sleepy, LoadRoots(store_).value());
  const Result<MoveReport> moved = mover.Move(id, Load(source), 1);
  ASSERT_TRUE(moved.ok()) << moved.error().message;
  EXPECT_TRUE(moved->moved);
  EXPECT_EQ(moved->target, fresh);
  EXPECT_EQ(LoadRecord(store_, id)->value.root, fresh);
  EXPECT_FALSE(store_.Head(ManifestKey(target, id)).ok());
}

// It has announced, looked and copied; while it sleeps its target goes all its
// way, and nobody else moves the manifest. A collector that surveys a retired
// root clears the moves that name it, so what was announced is not made good.
TEST_F(MoveTest, AMoveThatARetiredTargetHasClearedIsMadeAnew) {
  const std::string source = MakeRoot();
  const std::string id =
      PublishTestImage(origin_, *keys_, "a", 3, /*seed=*/1).value();
  const std::string target = MakeRoot();
  Advance(source);
  std::string fresh;
  SleepyStore sleepy(store_, 2, [&] {
    EXPECT_EQ(LoadRecord(store_, id)->value.next_root, target);
    fresh = MakeRoot();
    Advance(target);
    EXPECT_TRUE(SurveyRoots(store_, LoadRoots(store_).value(), {}).ok());
    EXPECT_EQ(LoadRecord(store_, id)->value.next_root, "");
    for (int step = 0; step < 2; ++step) Advance(target);
  });
  Mover mover(sleepy, LoadRoots(store_).value());
  const Result<MoveReport> moved = mover.Move(id, Load(source), 1);
  ASSERT_TRUE(moved.ok()) << moved.error().message;
  EXPECT_EQ(moved->target, fresh);
  EXPECT_EQ(LoadRecord(store_, id)->value.root, fresh);
  EXPECT_TRUE(store_.Head(ManifestKey(fresh, id)).ok());
}

}  // namespace
}  // namespace morsel
