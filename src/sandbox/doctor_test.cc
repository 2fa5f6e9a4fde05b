// SPDX-License-Identifier: Apache-2.0
#include "sandbox/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sandbox/loop.h"
#include "sandbox/mount.h"
#include "sandbox/named_overlay.h"
#include "sandbox/sandbox_fixture.h"

namespace morsel {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;
using Kind = Finding::Kind;

class DoctorTest : public SandboxTest {
 protected:
  void SetUp() override {
    const std::string why = WhyNoContainers();
    if (!why.empty()) GTEST_SKIP() << why;
    MakeDisk({{"hello", "world"}});
  }

  // The kinds of what can be cleared.
  std::vector<Kind> Kinds() {
    std::vector<Kind> kinds;
    const auto findings = Examine(config_);
    for (const Finding& finding : *findings)
      if (finding.fixable) kinds.push_back(finding.kind);
    return kinds;
  }
  void ExpectRepaired() {
    const auto failed = Repair(config_, Examine(config_).value());
    for (const Finding& finding : failed) ADD_FAILURE() << finding.suggestion;
    EXPECT_THAT(Kinds(), IsEmpty());
    EXPECT_THAT(Leftovers(), IsEmpty());
  }
  static void Kill(int64_t pid) {
    ASSERT_EQ(::kill(static_cast<pid_t>(pid), SIGKILL), 0);
    const Child child{.pid = static_cast<pid_t>(pid)};
    ASSERT_TRUE(WaitChild(child).ok());
  }
  static RunOptions LongCommand() {
    RunOptions options;
    options.args = {"/bin/sh", "-c", "echo up; sleep 1000"};
    return options;
  }
};

TEST_F(DoctorTest, FindsNothingWhereAllIsWell) {
  const auto device = Attach("ready", {.until_exit = true});
  ASSERT_TRUE(device.ok());
  EXPECT_THAT(Kinds(), IsEmpty());
  EXPECT_TRUE(fs::exists(device->path));
}

TEST_F(DoctorTest, ClearsADeviceWhoseAgentWasKilled) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  fs::create_directories(dir_ + "/mnt");
  ASSERT_TRUE(MountImage(config_, *device, dir_ + "/mnt").ok());
  Kill(device->agent_pid);
  EXPECT_THAT(Kinds(), ::testing::ElementsAre(Kind::kDeadDevice));
  ExpectRepaired();
  EXPECT_TRUE(fs::is_empty(dir_ + "/mnt"));
}

TEST_F(DoctorTest, ClearsADeviceThatWasUnmountedByHand) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  fs::create_directories(dir_ + "/mnt");
  ASSERT_TRUE(MountImage(config_, *device, dir_ + "/mnt").ok());
  EXPECT_THAT(Kinds(), IsEmpty());
  ASSERT_EQ(::umount2((dir_ + "/mnt").c_str(), 0), 0);
  EXPECT_THAT(Kinds(), ::testing::ElementsAre(Kind::kDeadDevice));
  ExpectRepaired();
}

TEST_F(DoctorTest, ClearsAContainerWhoseRunnerWasKilled) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  RunnerProcess runner(config_, *device, {}, LongCommand());
  EXPECT_THAT(Kinds(), IsEmpty());
  ASSERT_EQ(::kill(runner.pid(), SIGKILL), 0);
  EXPECT_EQ(runner.Wait(), 128 + SIGKILL);
  EXPECT_THAT(Kinds(), ::testing::ElementsAre(Kind::kDeadContainer));
  ExpectRepaired();
}

TEST_F(DoctorTest, ClearsAContainerWhoseRunnerAndAgentWereKilled) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  RunnerProcess runner(config_, *device, {}, LongCommand());
  ASSERT_EQ(::kill(runner.pid(), SIGKILL), 0);
  EXPECT_EQ(runner.Wait(), 128 + SIGKILL);
  Kill(device->agent_pid);
  EXPECT_THAT(Kinds(), ::testing::ElementsAre(Kind::kDeadContainer));
  ExpectRepaired();
}

TEST_F(DoctorTest, ClearsTheDeviceOfAProcessThatWasKilled) {
  const pid_t pid = ::fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    const auto device = Attach("ready", {.until_exit = true});
    ::_exit(device.ok() ? 0 : 1);
  }
  EXPECT_EQ(WaitChild({.pid = pid}).value(), 0);
  EXPECT_THAT(Kinds(), ::testing::ElementsAre(Kind::kDeadDevice));
  ExpectRepaired();
}

TEST_F(DoctorTest, PassesOverFoldersThatAreBeingMade) {
  const std::string device = config_.RunDir() + "/devices/0123";
  const std::string container = config_.RunDir() + "/containers/4567";
  fs::create_directories(device);
  fs::create_directories(container);
  EXPECT_THAT(Kinds(), IsEmpty());
  const auto long_ago =
      fs::file_time_type::clock::now() - std::chrono::hours(1);
  fs::last_write_time(device, long_ago);
  fs::last_write_time(container, long_ago);
  EXPECT_EQ(Kinds().size(), 2U);
  ExpectRepaired();
}

TEST_F(DoctorTest, DetachesLoopDevicesOfDevicesThatAreGone) {
  const std::string dir = config_.RunDir() + "/devices/89ab";
  fs::create_directories(dir);
  std::ofstream(dir + "/disk") << std::string(64 * kKiB, 'x');
  const auto loop = LoopDevice::Attach(dir + "/disk", true);
  ASSERT_TRUE(loop.ok());
  fs::remove_all(dir);
  EXPECT_THAT(Kinds(), ::testing::ElementsAre(Kind::kStrayLoop));
  EXPECT_THAT(Repair(config_, Examine(config_).value()), IsEmpty());
}

TEST_F(DoctorTest, RemovesAnOverlayThatWasNeverMade) {
  fs::create_directories(OverlaysDir(config_) + "/half");
  std::ofstream(OverlaysDir(config_) + "/half/lock") << "";
  const auto whole = TakeNamedOverlay(config_, "whole", "m", keys_);
  ASSERT_TRUE(whole.ok());
  EXPECT_THAT(Kinds(), ::testing::ElementsAre(Kind::kUnfinishedOverlay));
  ExpectRepaired();
  EXPECT_TRUE(fs::exists(OverlaysDir(config_) + "/whole/meta.json"));
}

TEST_F(DoctorTest, NamesFilesThatOthersCanRead) {
  fs::create_directories(config_.StateDir());
  std::ofstream(config_.StateDir() + "/key") << "secret";
  fs::permissions(config_.StateDir() + "/key", fs::perms(0644));
  const auto findings = Examine(config_);
  const auto it = std::find_if(
      findings->begin(), findings->end(),
      [](const Finding& f) { return f.kind == Kind::kPermissions; });
  ASSERT_NE(it, findings->end());
  EXPECT_EQ(it->where, config_.StateDir() + "/key");
  EXPECT_FALSE(it->fixable);
  EXPECT_EQ(it->ToJson().StringOr("kind", ""), "permissions");
}

TEST_F(DoctorTest, NamesAnOriginThatTheCacheCannotRead) {
  const std::string origin = config_.Origin();
  ASSERT_TRUE(MakeDirectories(origin, 0700).ok());
  const auto names_it = [&](const Finding& f) { return f.where == origin; };
  auto findings = Examine(config_);
  EXPECT_EQ(std::ranges::count_if(*findings, names_it), 1);
  ASSERT_EQ(::chmod(origin.c_str(), 0755), 0);
  findings = Examine(config_);
  EXPECT_EQ(std::ranges::count_if(*findings, names_it), 0);
}

}  // namespace
}  // namespace morsel
