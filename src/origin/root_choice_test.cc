// SPDX-License-Identifier: Apache-2.0
// Which root a converter writes to: placement, class of tenants, affinity.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <utility>

#include "origin/document.h"
#include "origin/records.h"
#include "origin/root_state.h"
#include "origin/test_image.h"
#include "store/filter_store.h"
#include "store/memory_store.h"

namespace morsel {
namespace {

class RootChoiceTest : public testing::Test {
 protected:
  std::string AddRoot(const std::string& placement, const std::string& tenant,
                      std::string_view state = kRootActive) {
    const std::string id = "r" + RandomHex(SystemRandom(), 6);
    const WrappedKey salt = keys_->Generate("root:" + id)->wrapped;
    CHECK(
        CreateDocument(store_, SaltKey(id, salt.key_id), EncodeWrappedKey(salt))
            .ok());
    const RootState root{.state = std::string(state),
                         .history = {{std::string(state), 1}},
                         .placement = placement,
                         .tenant = tenant};
    CHECK(CreateDocument(store_, RootStateKey(id), EncodeRootState(root)).ok());
    return id;
  }
  std::string Choose(const std::string& placement, const std::string& tenant,
                     const std::string& affinity = "") {
    const Result<WritableRoot> root =
        origin_.OpenActiveRoot(*keys_, {placement, tenant, affinity});
    return root.ok() ? root->id : std::string(CodeName(root.error().code));
  }

  TestFolder folder_;
  std::unique_ptr<KeyService> keys_ = MakeTestKeys(folder_, "key");
  MemoryStore store_;
  Origin origin_{store_, SystemClock()};
};

TEST_F(RootChoiceTest, OnlyRootsOfItsPlacementAndTenantFit) {
  const std::string plain = AddRoot("", "");
  const std::string zone = AddRoot("a", "");
  const std::string own = AddRoot("a", "team");
  AddRoot("b", "", kRootRetired);
  EXPECT_EQ(Choose("", ""), plain);
  EXPECT_EQ(Choose("a", ""), zone);
  EXPECT_EQ(Choose("a", "team"), own);
  EXPECT_EQ(Choose("b", ""), "unavailable");
  EXPECT_EQ(Choose("", "team"), "unavailable");
}

TEST_F(RootChoiceTest, TheFirstRootGetsTheLabelsThatWereAskedFor) {
  const std::string first = Choose("zone", "team");
  EXPECT_TRUE(IsRootId(first)) << first;
  EXPECT_EQ(Choose("zone", "team"), first);
  EXPECT_EQ(Choose("", ""), "unavailable");
}

TEST_F(RootChoiceTest, AnAffinityStaysInItsRootWhenOthersCome) {
  for (int i = 0; i < 3; ++i) AddRoot("", "");
  std::map<std::string, std::string> before;
  std::set<std::string> used;
  for (int i = 0; i < 60; ++i) {
    const std::string base = "sha256:" + std::to_string(i);
    before[base] = Choose("", "", base);
    used.insert(before[base]);
  }
  EXPECT_EQ(used.size(), 3u);
  const std::string fresh = AddRoot("", "");
  int moved = 0;
  for (const auto& [base, root] : before) {
    const std::string now = Choose("", "", base);
    EXPECT_TRUE(now == root || now == fresh) << base;
    moved += now == fresh;
  }
  EXPECT_GT(moved, 2);
  EXPECT_LT(moved, 35);
}

// What another process does just before an object is read for the first time.
class OvertakenStore final : public FilterStore {
 public:
  explicit OvertakenStore(ObjectStore& next) : FilterStore(next) {}
  void Before(const std::string& key, std::function<void()> act) {
    acts_[key] = std::move(act);
  }

 private:
  Status Before(const StoreCall& call) override {
    const auto found = acts_.find(std::string(call.key));
    if (call.op != StoreOp::kGet || found == acts_.end()) return Ok();
    const auto act = std::move(found->second);
    acts_.erase(found);
    act();
    return Ok();
  }

  std::map<std::string, std::function<void()>> acts_;
};

TEST_F(RootChoiceTest, AConverterThatARotationOvertakesFindsTheNewRoot) {
  const std::string old = AddRoot("", "");
  OvertakenStore overtaken(store_);
  std::string fresh;
  overtaken.Before(RootStateKey(old), [&] {
    fresh = AddRoot("", "");
    CHECK(RetireRoot(store_, SystemClock(), old).ok());
  });
  Origin origin(overtaken, SystemClock());
  const Result<WritableRoot> root = origin.OpenActiveRoot(*keys_, {});
  ASSERT_TRUE(root.ok()) << root.error().message;
  EXPECT_EQ(root->id, fresh);
}

TEST_F(RootChoiceTest, AConverterThatSleepsUntilItsRootIsGoneTakesTheNextOne) {
  const std::string old = AddRoot("", "");
  const std::string salt = SaltKey(old, keys_->KeyId());
  OvertakenStore overtaken(store_);
  std::string fresh;
  overtaken.Before(salt, [&] {
    fresh = AddRoot("", "");
    CHECK(RetireRoot(store_, SystemClock(), old).ok());
    CHECK(store_.Delete(salt).ok());
  });
  Origin origin(overtaken, SystemClock());
  const Result<WritableRoot> root = origin.OpenActiveRoot(*keys_, {});
  ASSERT_TRUE(root.ok()) << root.error().message;
  EXPECT_EQ(root->id, fresh);
}

TEST_F(RootChoiceTest, AKeyThatWasNotAdmittedIsRefusedByAnActiveRoot) {
  const std::string root = AddRoot("", "");
  CHECK(store_.Delete(SaltKey(root, keys_->KeyId())).ok());
  EXPECT_EQ(Choose("", ""), "denied");
}

}  // namespace
}  // namespace morsel
