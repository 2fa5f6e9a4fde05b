// SPDX-License-Identifier: Apache-2.0
#include "sandbox/private_mounts.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

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
