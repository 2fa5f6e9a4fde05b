// SPDX-License-Identifier: Apache-2.0
#include "sandbox/mount.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include <filesystem>
#include <fstream>

#include "sandbox/sandbox_fixture.h"

namespace morsel {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(ParseMountInfo, ReadsFoldersTypesAndSources) {
  const auto mounts = ParseMountInfo(
      "36 35 98:0 /m /a\\040b rw,noatime master:1 shared:2 - ext4 /dev/x rw\n"
      "37 35 0:4 / /p rw - proc proc rw\n"
      "garbage\n"
      "1 2 3 4 5 -\n"
      "38 35 0:4 / /q\\999\\ rw - t s");
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[0].dir, "/a b");
  EXPECT_EQ(mounts[0].type, "ext4");
  EXPECT_EQ(mounts[0].source, "/dev/x");
  EXPECT_EQ(mounts[1].dir, "/p");
  EXPECT_EQ(mounts[2].dir, "/q\\999\\");
}

class MountTest : public SandboxTest {
 protected:
  void SetUp() override {
    const std::string why = WhyNoContainers();
    if (!why.empty()) GTEST_SKIP() << why;
    MakeDisk({{"hello", "world"}});
    fs::create_directories(mnt());
  }
  void TearDown() override { ::umount2(mnt().c_str(), MNT_DETACH); }
  std::string mnt() const { return dir_ + "/mnt"; }
};

TEST_F(MountTest, ShowsTheImageUntilItIsUnmounted) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok()) << device.error().message;
  const Status mounted = MountImage(config_, *device, mnt());
  ASSERT_TRUE(mounted.ok()) << mounted.error().message;
  std::string text;
  std::ifstream(mnt() + "/hello") >> text;
  EXPECT_EQ(text, "world");
  struct statvfs info;
  ASSERT_EQ(::statvfs(mnt().c_str(), &info), 0);
  EXPECT_NE(info.f_flag & ST_NODEV, 0U);
  EXPECT_NE(info.f_flag & ST_NOSUID, 0U);
  EXPECT_EQ(DetachDevice(config_, device->path).error().code, Code::kExists);
  EXPECT_THAT(DetachDevice(config_, device->path).error().message,
              HasSubstr(mnt()));
  const Status unmounted = UmountImage(config_, mnt() + "/");
  ASSERT_TRUE(unmounted.ok()) << unmounted.error().message;
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(MountTest, GivesANamedOverlayAJournalOnce) {
  const auto device = Attach("ready", {.overlay = "mine"});
  ASSERT_TRUE(device.ok()) << device.error().message;
  for (int round = 0; round < 2; ++round) {
    const auto loop = LoopDevice::Attach(device->path, false);
    ASSERT_TRUE(loop.ok());
    const Status made = EnsureJournal(*loop);
    ASSERT_TRUE(made.ok()) << made.error().message;
    ASSERT_TRUE(MountExt4(*loop, mnt(), {}).ok());
    ASSERT_EQ(::umount2(mnt().c_str(), 0), 0);
  }
  EXPECT_TRUE(DetachDevice(config_, device->path).ok());
}

TEST_F(MountTest, RefusesFoldersThatCannotBeMountPoints) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(MountImage(config_, *device, dir_ + "/none").error().code,
            Code::kInvalid);
  EXPECT_EQ(MountImage(config_, *device, dir_).error().code, Code::kInvalid);
  ASSERT_TRUE(MountImage(config_, *device, mnt()).ok());
  EXPECT_EQ(MountImage(config_, *device, mnt()).error().code, Code::kExists);
  {
    const std::ofstream user(mnt() + "/hello");
    EXPECT_EQ(UmountImage(config_, mnt()).error().code, Code::kExists);
  }
  EXPECT_TRUE(UmountImage(config_, mnt()).ok());
  EXPECT_EQ(UmountImage(config_, mnt()).error().code, Code::kNotFound);
}

TEST_F(MountTest, SaysThatThereIsNoExt4) {
  std::ofstream(dir_ + "/zero") << std::string(1 << 20, '\0');
  const auto loop = LoopDevice::Attach(dir_ + "/zero", false);
  ASSERT_TRUE(loop.ok());
  EXPECT_EQ(MountExt4(*loop, mnt(), {}).error().code, Code::kCorrupt);
  EXPECT_EQ(EnsureJournal(*loop).error().code, Code::kCorrupt);
}

}  // namespace
}  // namespace morsel
