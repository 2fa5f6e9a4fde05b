// SPDX-License-Identifier: Apache-2.0
#include "frontend/fuse_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "base/process.h"
#include "block/fault_device.h"
#include "block/file_device.h"
#include "block/zero_device.h"
#include "frontend/fuse_mount.h"

namespace morsel {
namespace {

// Why FUSE cannot be tried here; empty if it can.
std::string WhyNoFuse() {
  if (::geteuid() != 0) return "needs root to mount";
  if (::access("/dev/fuse", R_OK | W_OK) != 0) return "no /dev/fuse";
  return "";
}

std::unique_ptr<BlockDevice> MemoryDevice(uint64_t size) {
  Result<Fd> file = MakeMemoryFile("disk", {});
  EXPECT_TRUE(file.ok());
  EXPECT_EQ(::ftruncate(file->get(), static_cast<off_t>(size)), 0);
  Result<std::unique_ptr<BlockDevice>> device =
      MakeFileDevice(std::move(*file));
  EXPECT_TRUE(device.ok());
  return std::move(*device);
}

// A device served over FUSE by threads of the test.
class Served {
 public:
  Served(std::unique_ptr<BlockDevice> device, bool read_only)
      : device_(std::move(device)) {
    std::string name = std::filesystem::temp_directory_path() / "fuse-XXXXXX";
    folder_ = ::mkdtemp(name.data());
    Result<FuseMount> mount = FuseMount::Make(folder_);
    EXPECT_TRUE(mount.ok()) << mount.error().message;
    mount_.emplace(std::move(*mount));
    Result<Fd> memory = MakeMemoryFile("slots", {});
    EXPECT_TRUE(memory.ok());
    EXPECT_EQ(::ftruncate(memory->get(),
                          static_cast<off_t>(FuseSlots::FileSize(kThreads))),
              0);
    Result<FuseSlots> slots =
        FuseSlots::Map(memory->get(), kThreads, FuseSlots::Part::kWhole);
    EXPECT_TRUE(slots.ok() && slots->LockInMemory().ok());
    slots_.emplace(std::move(*slots));
    Result<std::unique_ptr<FuseFile>> file =
        FuseFile::Open(SystemClock(), {.fuse_fd = ::dup(mount_->fd()),
                                       .slots = &*slots_,
                                       .read_only = read_only});
    EXPECT_TRUE(file.ok()) << file.error().message;
    file_ = std::move(*file);
    EXPECT_TRUE(file_->Start(*device_).ok());
    server_ = std::jthread([this] { file_->Serve(); });
  }
  ~Served() {
    mount_->Abort();
    server_.join();
    file_.reset();
    ::rmdir(folder_.c_str());
  }

  std::string path() const { return folder_ + "/disk"; }
  FuseMount& mount() { return *mount_; }
  std::jthread& server() { return server_; }
  Fd Open(int flags) {
    Result<Fd> fd = OpenFile(path(), flags);
    EXPECT_TRUE(fd.ok()) << fd.error().message;
    return std::move(*fd);
  }

 private:
  static constexpr size_t kThreads = 4;

  std::unique_ptr<BlockDevice> device_;
  std::string folder_;
  std::optional<FuseMount> mount_;
  std::optional<FuseSlots> slots_;
  std::unique_ptr<FuseFile> file_;
  std::jthread server_;
};

class FuseFileTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = WhyNoFuse(); !why.empty()) GTEST_SKIP() << why;
  }
};

TEST_F(FuseFileTest, RandomOperationsAgreeWithAModel) {
  constexpr uint64_t kSize = 8 * kMiB;
  constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  constexpr int kZero = FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE;
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Served served(MemoryDevice(kSize), false);
  const Fd fd = served.Open(O_RDWR);
  Bytes model(kSize);
  for (int i = 0; i < 600; ++i) {
    const uint64_t offset = random() % kSize;
    const uint64_t limit = random() % 4 == 0 ? 3 * kMiB : 64 * kKiB;
    const uint64_t length =
        std::min<uint64_t>(1 + random() % limit, kSize - offset);
    Bytes bytes(length);
    switch (random() % 5) {
      case 0:
      case 1:
        for (std::byte& b : bytes) b = static_cast<std::byte>(random());
        ASSERT_TRUE(WriteFullAt(fd.get(), offset, bytes).ok());
        std::copy(bytes.begin(), bytes.end(), model.begin() + offset);
        break;
      case 2:
        ASSERT_EQ(
            ::fallocate(fd.get(), random() % 2 == 0 ? kPunch : kZero,
                        static_cast<off_t>(offset), static_cast<off_t>(length)),
            0);
        std::fill_n(model.begin() + offset, length, std::byte{0});
        break;
      case 3:
        ASSERT_EQ(::fsync(fd.get()), 0);
        break;
      default:
        break;
    }
    ASSERT_TRUE(ReadFullAt(fd.get(), offset, bytes).ok());
    ASSERT_TRUE(std::equal(bytes.begin(), bytes.end(), model.begin() + offset));
  }
}

TEST_F(FuseFileTest, ShowsOneFileOfTheDevicesSize) {
  Served served(MakeZeroDevice(kGiB), true);
  struct stat attributes {};
  ASSERT_EQ(::stat(served.path().c_str(), &attributes), 0);
  EXPECT_EQ(attributes.st_size, static_cast<off_t>(kGiB));
  EXPECT_TRUE(S_ISREG(attributes.st_mode));
  EXPECT_EQ(attributes.st_blksize, 4096);
  std::vector<std::string> names;
  const auto folder = std::filesystem::path(served.path()).parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename());
  EXPECT_EQ(names, std::vector<std::string>{"disk"});
  EXPECT_FALSE(OpenFile(folder / "other", O_RDONLY).ok());
}

TEST_F(FuseFileTest, ReadsEndAtTheEndAndWritesBeyondItFail) {
  Served served(MemoryDevice(8192), false);
  const Fd fd = served.Open(O_RDWR);
  Bytes bytes(16384);
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 4096), 4096);
  EXPECT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 8192), 0);
  EXPECT_EQ(::pwrite(fd.get(), bytes.data(), 4096, 8192), -1);
  EXPECT_EQ(errno, ENOSPC);
  EXPECT_EQ(::fallocate(fd.get(), 0, 0, 4096), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST_F(FuseFileTest, AReadOnlyDeviceIsNotOpenedForWriting) {
  Served served(MakeZeroDevice(kMiB), true);
  const Result<Fd> fd = OpenFile(served.path(), O_RDWR);
  ASSERT_FALSE(fd.ok());
  EXPECT_EQ(fd.error().code, Code::kDenied);
  served.Open(O_RDONLY);
}

TEST_F(FuseFileTest, ErrorsBecomeTheErrnoOfTheirCode) {
  struct Case {
    Code code;
    int errno_value;
  };
  for (const Case& c :
       {Case{Code::kCorrupt, EIO}, Case{Code::kTimeout, EIO},
        Case{Code::kUnavailable, EIO}, Case{Code::kIo, EIO},
        Case{Code::kExhausted, ENOSPC}, Case{Code::kDenied, EACCES}}) {
    Served served(MakeFaultDevice(MemoryDevice(kMiB),
                                  {.read_faults_per_million = 1000000,
                                   .write_faults_per_million = 1000000,
                                   .flush_faults_per_million = 1000000,
                                   .code = c.code}),
                  false);
    const Fd fd = served.Open(O_RDWR);
    char byte = 0;
    EXPECT_EQ(::pread(fd.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, c.errno_value) << CodeName(c.code);
    EXPECT_EQ(::pwrite(fd.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, c.errno_value) << CodeName(c.code);
    EXPECT_EQ(::fsync(fd.get()), -1);
    EXPECT_EQ(errno, c.errno_value) << CodeName(c.code);
  }
}

TEST_F(FuseFileTest, UnmountWaitsForUsersAndEndsTheServer) {
  Served served(MakeZeroDevice(kMiB), true);
  {
    const Fd fd = served.Open(O_RDONLY);
    const Status busy = served.mount().Unmount();
    ASSERT_FALSE(busy.ok());
    EXPECT_EQ(busy.error().code, Code::kExists);
  }
  ASSERT_TRUE(served.mount().Unmount().ok());
  served.server().join();
  served.server() = std::jthread([] {});
}

TEST_F(FuseFileTest, AnAbortedConnectionFailsItsUsersAtOnce) {
  Served served(MakeZeroDevice(kMiB), true);
  const Fd fd = served.Open(O_RDONLY);
  served.mount().Abort();
  char byte = 0;
  EXPECT_EQ(::pread(fd.get(), &byte, 1, 0), -1);
}

// A loop device on the file; detached when it goes.
class Loop {
 public:
  explicit Loop(const std::string& path) {
    const Result<std::string> out = RunChecked(
        {"losetup", "-f", "--show", "-b", "4096", "--direct-io=on", path});
    EXPECT_TRUE(out.ok()) << out.error().message;
    if (out.ok()) device_ = out->substr(0, out->find('\n'));
  }
  ~Loop() { static_cast<void>(RunCommand({"losetup", "-d", device_})); }
  const std::string& device() const { return device_; }

 private:
  std::string device_;
};

TEST_F(FuseFileTest, Ext4OnALoopDeviceSurvivesUnmountAndMount) {
  if (::access("/dev/loop-control", R_OK | W_OK) != 0)
    GTEST_SKIP() << "no loop devices";
  Served served(MemoryDevice(64 * kMiB), false);
  const Loop loop(served.path());
  const std::string folder = ::testing::TempDir() + "ext4-on-fuse";
  std::filesystem::create_directories(folder);
  const auto run = [](const std::vector<std::string>& argv) {
    const Result<std::string> out = RunChecked(argv);
    EXPECT_TRUE(out.ok()) << out.error().message;
  };
  run({"mkfs.ext4", "-q", "-b", "4096", loop.device()});
  run({"mount", "-o", "discard", loop.device(), folder});
  const Bytes content(5 * kMiB + 77, std::byte{0x5a});
  EXPECT_TRUE(WriteFileAtomically(folder + "/f", content, 0644).ok());
  run({"umount", folder});
  run({"e2fsck", "-fn", loop.device()});
  run({"mount", loop.device(), folder});
  const Result<Bytes> read = ReadWholeFile(folder + "/f", 16 * kMiB);
  EXPECT_TRUE(read.ok() && *read == content);
  run({"umount", folder});
  std::filesystem::remove(folder);
}

}  // namespace
}  // namespace morsel
