// SPDX-License-Identifier: Apache-2.0
#include "sandbox/device.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "base/process.h"
#include "sandbox/sandbox_fixture.h"

namespace morsel {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DeviceTest : public SandboxTest {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
  }
};

TEST_F(DeviceTest, IsUsableOnceAttachedAndGoneOnceDetached) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok()) << device.error().message;
  EXPECT_TRUE(std::filesystem::exists(device->path));
  EXPECT_EQ(device->path,
            config_.RunDir() + "/devices/" + device->id + "/fuse/disk");
  EXPECT_EQ(device->image, "fake:ready");
  EXPECT_TRUE(IsProcessAlive(static_cast<pid_t>(device->agent_pid),
                             device->agent_start_ticks));
  const auto listed = ListDevices(config_);
  ASSERT_TRUE(listed.ok());
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().ToJson(), device->ToJson());
  const Status detached = DetachDevice(config_, device->path);
  ASSERT_TRUE(detached.ok()) << detached.error().message;
  EXPECT_FALSE(IsProcessAlive(static_cast<pid_t>(device->agent_pid),
                              device->agent_start_ticks));
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_EQ(DetachDevice(config_, device->path).error().code, Code::kNotFound);
}

TEST_F(DeviceTest, KeepsItsFoldersPrivate) {
  ASSERT_TRUE(Attach("ready").ok());
  const auto mode = [&](const std::string& path) {
    return std::filesystem::status(path).permissions();
  };
  EXPECT_EQ(mode(config_.RunDir() + "/devices"), std::filesystem::perms(0700));
  const auto listed = ListDevices(config_);
  EXPECT_EQ(mode(config_.RunDir() + "/devices/" + listed->front().id),
            std::filesystem::perms(0700));
}

TEST_F(DeviceTest, SaysThatTheAgentDiedWithItsLastWords) {
  const auto device = Attach("dies");
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.error().code, Code::kUnavailable);
  EXPECT_THAT(device.error().message, HasSubstr("no FUSE today"));
  EXPECT_THAT(device.error().message, HasSubstr("with 3"));
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(DeviceTest, PassesOnWhatTheAgentReports) {
  const auto device = Attach("error");
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.error().code, Code::kExhausted);
  EXPECT_THAT(device.error().message, HasSubstr("the machine is full"));
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(DeviceTest, GivesUpOnAnAgentThatNeverAnswers) {
  const auto silent = Attach("silent", {.ready_timeout_seconds = 0.2});
  EXPECT_EQ(silent.error().code, Code::kTimeout);
  const auto closing = Attach("closes");
  EXPECT_EQ(closing.error().code, Code::kUnavailable);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(DeviceTest, SaysThatThereIsNoAgent) {
  const auto device =
      AttachDevice(config_, {.repository = "a", .tag = "b"}, image_,
                   SecretKey(), keys_, {.agent_program = "/no/such/agent"});
  EXPECT_EQ(device.error().code, Code::kNotFound);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(DeviceTest, IsNotDetachedWhileItIsInUse) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  {
    const auto user = OpenFile(device->path, O_RDONLY);
    ASSERT_TRUE(user.ok());
    EXPECT_EQ(DetachDevice(config_, device->id).error().code, Code::kExists);
    EXPECT_TRUE(ListDevices(config_)->front().alive);
  }
  EXPECT_TRUE(DetachDevice(config_, device->id).ok());
}

TEST_F(DeviceTest, IsListedAsDeadWhenItsAgentWasKilled) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  ASSERT_EQ(::kill(static_cast<pid_t>(device->agent_pid), SIGKILL), 0);
  Child agent{.pid = static_cast<pid_t>(device->agent_pid)};
  ASSERT_TRUE(WaitChild(agent).ok());
  EXPECT_FALSE(ListDevices(config_)->front().alive);
  EXPECT_TRUE(DetachDevice(config_, device->path).ok());
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(DeviceTest, HoldsItsNamedOverlayUntilTheAgentEnds) {
  const auto device = Attach("ready", {.overlay = "data"});
  ASSERT_TRUE(device.ok()) << device.error().message;
  EXPECT_TRUE(device->overlay_is_new);
  EXPECT_EQ(Attach("ready", {.overlay = "data"}).error().code, Code::kExists);
  ASSERT_TRUE(DetachDevice(config_, device->path).ok());
  const auto again = Attach("ready", {.overlay = "data"});
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_FALSE(again->overlay_is_new);
}

}  // namespace
}  // namespace morsel
