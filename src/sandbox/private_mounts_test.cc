// SPDX-License-Identifier: Apache-2.0
#include "sandbox/private_mounts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "sandbox/mount.h"
#include "sandbox/sandbox_fixture.h"

namespace morsel {
namespace {

class PrivateMountsTest : public SandboxTest {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
  }

  // Runs in a process of its own: the number of the step that failed, or 0.
  int EnterAndLeaveInAChroot() const {
    const std::string root = dir_ + "/root";
    for (const char* folder : {"/proc", "/sys", "/here"})
      std::filesystem::create_directories(root + folder);
    if (::unshare(CLONE_NEWNS) != 0) return 1;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
      return 2;
    // A root must be a mount point, for runc as well.
    if (::mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return 9;
    for (const std::string folder : {"/proc", "/sys"})
      if (::mount(folder.c_str(), (root + folder).c_str(), nullptr,
                  MS_BIND | MS_REC, nullptr) != 0)
        return 3;
    if (::chroot(root.c_str()) != 0 || ::chdir("/here") != 0) return 4;
    auto mounts = PrivateMounts::Enter(config_, {});
    if (!mounts.ok()) return 5;
    if (!mounts->Leave().ok()) return 6;
    if (::access("/here", F_OK) != 0) return 7;
    return std::filesystem::current_path() == "/here" ? 0 : 8;
  }
};

using ::testing::IsEmpty;

class KeptMountsTest : public PrivateMountsTest {
 protected:
  void SetUp() override {
    const std::string why = WhyNoContainers();
    if (!why.empty()) GTEST_SKIP() << why;
    MakeDisk({{"hello", "world"}});
    std::filesystem::create_directories(mnt());
    std::filesystem::create_directories(dir_ + "/elsewhere");
    std::filesystem::create_directory_symlink(dir_ + "/parent", dir_ + "/link");
    device_ = Attach("ready").value();
    const Status mounted = MountImage(config_, device_, mnt());
    ASSERT_TRUE(mounted.ok()) << mounted.error().message;
  }
  void TearDown() override {
    if (std::filesystem::exists(mnt() + "/hello")) {
      EXPECT_TRUE(UmountImage(config_, mnt()).ok());
    }
    EXPECT_THAT(Leftovers(), IsEmpty());
  }
  std::string mnt() const { return dir_ + "/parent/mnt"; }

  // What of the device is seen with these paths needed: "image", "file",
  // both, or nothing. In a process of its own.
  std::string SeenWith(const std::vector<std::string>& needed) const {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto mounts = PrivateMounts::Enter(config_, needed);
      const bool image = ::access((mnt() + "/hello").c_str(), F_OK) == 0;
      const bool file = ::access(device_.path.c_str(), F_OK) == 0;
      ::_exit(mounts.ok() ? (image ? 1 : 0) + (file ? 2 : 0) : 4);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return "?";
    const std::vector<std::string> words = {"", "image", "file", "image file",
                                            "no mounts"};
    return words[static_cast<size_t>(WEXITSTATUS(status))];
  }

  AttachedDevice device_;
};

TEST_F(KeptMountsTest, AnImageBelowOrAboveANeededPathIsSeen) {
  EXPECT_EQ(SeenWith({dir_ + "/parent"}), "image");
  EXPECT_EQ(SeenWith({dir_ + "/parent/"}), "image");
  EXPECT_EQ(SeenWith({dir_ + "/link"}), "image");
  EXPECT_EQ(SeenWith({mnt()}), "image");
  EXPECT_EQ(SeenWith({mnt() + "/bin"}), "image");
  EXPECT_EQ(SeenWith({"/"}), "image");
}

TEST_F(KeptMountsTest, WhatNobodyNeedsIsLetGo) {
  EXPECT_EQ(SeenWith({}), "");
  EXPECT_EQ(SeenWith({dir_ + "/elsewhere"}), "");
  EXPECT_EQ(SeenWith({dir_ + "/par"}), "");
  EXPECT_EQ(SeenWith({config_.RunDir()}), "");
  EXPECT_EQ(SeenWith({device_.path}), "file");
}

// As for who runs Morsel in a chroot: setns alone would lead out of it.
TEST_F(PrivateMountsTest, ReturnsToTheRootAndFolderItCameFrom) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(EnterAndLeaveInAChroot());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace morsel
