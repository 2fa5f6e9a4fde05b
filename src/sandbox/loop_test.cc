// SPDX-License-Identifier: Apache-2.0
#include "sandbox/loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <filesystem>

#include "sandbox/sandbox_fixture.h"

namespace morsel {
namespace {

class LoopTest : public SandboxTest {
 protected:
  void SetUp() override {
    if (!IsRoot()) GTEST_SKIP() << "needs root";
    if (!std::filesystem::exists("/dev/loop-control"))
      GTEST_SKIP() << "needs loop devices";
  }
  std::string disk() const { return dir_ + "/disk/disk"; }
};

std::string SysText(const LoopDevice& loop, const std::string& name) {
  const std::string device = loop.path().substr(5);
  const auto bytes =
      ReadWholeFile("/sys/block/" + device + "/" + name, 64 * kKiB);
  std::string text(bytes.ok() ? AsText(*bytes) : "");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

TEST_F(LoopTest, ShowsTheFileAsADiskOf4KiBBlocks) {
  const auto loop = LoopDevice::Attach(disk(), false);
  ASSERT_TRUE(loop.ok()) << loop.error().message;
  EXPECT_EQ(SysText(*loop, "queue/logical_block_size"), "4096");
  EXPECT_EQ(SysText(*loop, "queue/read_ahead_kb"), "128");
  EXPECT_EQ(SysText(*loop, "loop/autoclear"), "1");
  EXPECT_EQ(SysText(*loop, "ro"), "0");
  Bytes page(4096);
  ASSERT_TRUE(ReadFullAt(loop->fd(), 4096, page).ok());
  EXPECT_EQ(page[0], std::byte{'x'});
}

TEST_F(LoopTest, RefusesWritesWhereItIsReadOnly) {
  const auto loop = LoopDevice::Attach(disk(), true);
  ASSERT_TRUE(loop.ok()) << loop.error().message;
  EXPECT_EQ(SysText(*loop, "ro"), "1");
  const Bytes page(4096);
  EXPECT_FALSE(WriteFullAt(loop->fd(), 0, page).ok());
}

TEST_F(LoopTest, IsFoundByItsFileUntilItGoes) {
  {
    const auto loop = LoopDevice::Attach(disk(), false);
    ASSERT_TRUE(loop.ok());
    const auto found = FindLoopDevices(disk());
    ASSERT_TRUE(found.ok());
    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ(found->front().path, loop->path());
    EXPECT_FALSE(found->front().backing_file_is_deleted);
    std::filesystem::remove(disk());
    EXPECT_TRUE(FindLoopDevices(disk())->front().backing_file_is_deleted);
  }
  EXPECT_TRUE(FindLoopDevices(disk())->empty());
}

TEST_F(LoopTest, GivesEveryCallerADeviceOfItsOwn) {
  std::vector<LoopDevice> loops;
  for (int i = 0; i < 5; ++i) {
    auto loop = LoopDevice::Attach(disk(), true);
    ASSERT_TRUE(loop.ok()) << loop.error().message;
    loops.push_back(std::move(loop).value());
  }
  EXPECT_EQ(FindLoopDevices(disk())->size(), 5U);
}

TEST_F(LoopTest, SaysThatTheFileOrTheDeviceIsMissing) {
  EXPECT_EQ(LoopDevice::Attach(dir_ + "/none", true).error().code,
            Code::kNotFound);
  std::string path;
  {
    const auto loop = LoopDevice::Attach(disk(), true);
    ASSERT_TRUE(loop.ok());
    path = loop->path();
  }
  EXPECT_EQ(DetachLoopDevice(path).error().code, Code::kNotFound);
}

TEST_F(LoopTest, DetachesByItsPath) {
  auto loop = LoopDevice::Attach(disk(), true);
  ASSERT_TRUE(loop.ok());
  EXPECT_TRUE(DetachLoopDevice(loop->path()).ok());
}

}  // namespace
}  // namespace morsel
