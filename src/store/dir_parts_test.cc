// SPDX-License-Identifier: Apache-2.0
// Parts of a store in a folder: what a process without rights may write.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "store/dir_store.h"
#include "store/open_store.h"
#include "store/test_folder.h"

namespace morsel {
namespace {

constexpr uid_t kOther = 64642;

// Another user for a while: the calling process has one thread.
class AsOther {
 public:
  AsOther() { EXPECT_EQ(::seteuid(kOther), 0); }
  ~AsOther() { EXPECT_EQ(::seteuid(0), 0); }
};

class DirParts : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    auto whole = DirStore::Open(folder_.path(), Access::kWrite);
    ASSERT_TRUE(whole.ok());
    whole_ = std::move(whole).value();
    ASSERT_TRUE(whole_->Put("roots/r1/state.json", AsBytes("s")).ok());
    auto opened =
        OpenConfinableStore(folder_.path(), {"leases", "alarms"}, kOther);
    ASSERT_TRUE(opened.ok());
    opened_ = std::move(opened).value();
  }
  ObjectStore& parts() { return *opened_.store; }
  uid_t OwnerOf(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::lstat((folder_.path() + "/" + name).c_str(), &info), 0);
    return info.st_uid;
  }

  TestFolder folder_;
  std::unique_ptr<ObjectStore> whole_;
  ConfinableStore opened_;
};

TEST_F(DirParts, AnotherUserWritesThereAndReadsEverything) {
  {
    const AsOther other;
    EXPECT_TRUE(parts().Put("leases/m1/w1.json", AsBytes("1")).ok());
    EXPECT_TRUE(parts().Put("leases/m1/w1.json", AsBytes("2")).ok());
    EXPECT_TRUE(parts().PutIfAbsent("alarms/r1/m1/w1.json", {}).ok());
    EXPECT_EQ(parts().PutIfAbsent("alarms/r1/m1/w1.json", {}).error().code,
              Code::kExists);
    EXPECT_TRUE(parts().Get("roots/r1/state.json", 0, 9).ok());
  }
  EXPECT_EQ(whole_->Get("leases/m1/w1.json", 0, 9)->bytes,
            Bytes(1, std::byte{0x32}));
  EXPECT_EQ(whole_->List("leases/", "", 9)->rows.size(), 1u);
  const AsOther other;
  EXPECT_TRUE(parts().Delete("leases/m1/w1.json").ok());
  EXPECT_TRUE(parts().Delete("leases/m2/w1.json").ok());
  EXPECT_EQ(whole_->List("leases/", "", 9)->rows.size(), 0u);
}

TEST_F(DirParts, HeWritesNothingElseEvenIfHeAsksTheStoreBehind) {
  const AsOther other;
  for (ObjectStore* store : {opened_.store.get(), opened_.whole.get()}) {
    EXPECT_EQ(store->Put("roots/r1/state.json", {}).error().code,
              Code::kDenied);
    EXPECT_EQ(store->Delete("roots/r1/state.json").error().code, Code::kDenied);
    EXPECT_EQ(store->PutIfAbsent("new", {}).error().code, Code::kDenied);
    EXPECT_EQ(store->Copy("roots/r1/state.json", "images/a").error().code,
              Code::kDenied);
  }
}

TEST_F(DirParts, WhatRootMakesThereHeMayReplaceAndDelete) {
  ASSERT_TRUE(whole_->PutIfAbsent("alarms/r1/m1/gc.json", AsBytes("x")).ok());
  EXPECT_EQ(OwnerOf("alarms/r1/m1"), kOther);
  EXPECT_EQ(OwnerOf("roots/r1"), 0u);
  const AsOther other;
  EXPECT_TRUE(parts().PutIfAbsent("alarms/r1/m1/w1.json", {}).ok());
  const auto there = parts().Get("alarms/r1/m1/gc.json", 0, 9);
  ASSERT_TRUE(there.ok());
  EXPECT_TRUE(parts()
                  .ReplaceIfUnchanged("alarms/r1/m1/gc.json", AsBytes("y"),
                                      there->info.version)
                  .ok());
}

TEST_F(DirParts, RootFollowsNoLinkThatHeLaid) {
  const std::string elsewhere = folder_.path() + "/elsewhere";
  std::filesystem::create_directory(elsewhere);
  ASSERT_TRUE(whole_->Put("kept/w1.json", AsBytes("kept")).ok());
  {
    const AsOther other;
    std::filesystem::create_directory_symlink(elsewhere,
                                              folder_.path() + "/alarms/r1");
    std::filesystem::create_directory_symlink(folder_.path() + "/kept",
                                              folder_.path() + "/leases/m1");
  }
  EXPECT_EQ(whole_->PutIfAbsent("alarms/r1/m1/gc.json", {}).error().code,
            Code::kInvalid);
  EXPECT_EQ(whole_->Put("alarms/r1/gc.json", {}).error().code, Code::kInvalid);
  EXPECT_TRUE(std::filesystem::is_empty(elsewhere));
  EXPECT_TRUE(whole_->Delete("leases/m1/w1.json").ok());
  EXPECT_TRUE(whole_->Head("kept/w1.json").ok());
}

TEST_F(DirParts, WhoMayNotMakeOneIsDeniedAtTheWrite) {
  std::filesystem::remove_all(folder_.path() + "/leases");
  const AsOther other;
  auto opened = OpenConfinableStore(folder_.path(), {"leases"}, 0);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->store->Put("leases/m1/w1.json", {}).error().code,
            Code::kDenied);
  EXPECT_TRUE(opened->store->Get("roots/r1/state.json", 0, 9).ok());
}

}  // namespace
}  // namespace morsel
