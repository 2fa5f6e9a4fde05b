// SPDX-License-Identifier: Apache-2.0
#include "store/dir_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "store/open_store.h"
#include "store/test_folder.h"

namespace morsel {
namespace {

std::unique_ptr<ObjectStore> OpenForWriting(const std::string& path) {
  auto store = DirStore::Open(path, Access::kWrite);
  CHECK(store.ok());
  return std::move(store).value();
}

size_t TempFiles(const std::string& path) {
  size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(path + "/.morsel"))
    count += entry.path().filename().string().starts_with("tmp-");
  return count;
}

TEST(DirStore, OpensForReadingOnlyWhatExists) {
  const TestFolder folder;
  const std::string path = folder.path() + "/a/b";
  EXPECT_EQ(DirStore::Open(path, Access::kRead).error().code, Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path));
  OpenForWriting(path);
  EXPECT_TRUE(DirStore::Open(path, Access::kRead).ok());
  std::ofstream(folder.path() + "/file") << "x";
  EXPECT_EQ(DirStore::Open(folder.path() + "/file", Access::kRead).error().code,
            Code::kInvalid);
}

TEST(DirStore, RefusesWritesWhenOpenForReading) {
  const TestFolder folder;
  ASSERT_TRUE(OpenForWriting(folder.path())->Put("k", AsBytes("x")).ok());
  auto store = DirStore::Open(folder.path(), Access::kRead);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->Put("k", {}).error().code, Code::kDenied);
  EXPECT_EQ((*store)->PutIfAbsent("j", {}).error().code, Code::kDenied);
  EXPECT_EQ((*store)->ReplaceIfUnchanged("k", {}, "").error().code,
            Code::kDenied);
  EXPECT_EQ((*store)->Delete("k").error().code, Code::kDenied);
  EXPECT_EQ((*store)->Copy("k", "j").error().code, Code::kDenied);
  EXPECT_TRUE((*store)->Head("k").ok());
}

TEST(DirStore, WorksOnADescriptorAlone) {
  const TestFolder folder;
  const std::string path = folder.path() + "/store";
  ASSERT_TRUE(OpenForWriting(path)->Put("a/k", AsBytes("x")).ok());
  Result<Fd> fd = OpenFile(path, O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(fd.ok());
  std::filesystem::rename(path, folder.path() + "/moved");
  auto store = DirStore::FromDirectory(std::move(fd).value(), Access::kRead);
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE((*store)->Get("a/k", 0, 1).ok());
  Result<Fd> null = OpenFile("/dev/null", O_RDONLY);
  EXPECT_EQ(DirStore::FromDirectory(std::move(null).value(), Access::kRead)
                .error()
                .code,
            Code::kInvalid);
}

TEST(DirStore, IsReadableByOtherUsersWhateverTheUmask) {
  const TestFolder folder;
  const mode_t before = ::umask(077);
  const std::string top = folder.path() + "/origin";
  auto store = OpenForWriting(top);
  EXPECT_TRUE(store->Put("a/put", {}).ok());
  EXPECT_TRUE(store->PutIfAbsent("b/new", {}).ok());
  ::umask(before);
  struct stat info;
  for (const char* name : {"", "/a"}) {
    ASSERT_EQ(::stat((top + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0755u);
  }
  for (const char* name : {"/a/put", "/b/new"}) {
    ASSERT_EQ(::stat((top + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0644u);
  }
}

TEST(DirStore, SaysThatAKeyCannotLieUnderAnother) {
  const TestFolder folder;
  auto store = OpenForWriting(folder.path());
  ASSERT_TRUE(store->Put("a/b", {}).ok());
  EXPECT_EQ(store->Put("a/b/c", {}).error().code, Code::kInvalid);
  EXPECT_EQ(store->PutIfAbsent("a/b/c", {}).error().code, Code::kInvalid);
  EXPECT_EQ(store->Put("a", {}).error().code, Code::kInvalid);
  EXPECT_EQ(store->PutIfAbsent("a", {}).error().code, Code::kInvalid);
  EXPECT_TRUE(store->Delete("a").ok());
  EXPECT_TRUE(store->Head("a/b").ok());
  EXPECT_EQ(TempFiles(folder.path()), 0u);
}

TEST(DirStore, IgnoresWhatIsNoObject) {
  const TestFolder folder;
  auto store = OpenForWriting(folder.path());
  ASSERT_TRUE(store->Put("k", AsBytes("x")).ok());
  ASSERT_TRUE(store->Delete("scratch/conditions").ok());  // as it was opened
  std::filesystem::create_symlink("/etc/hostname", folder.path() + "/link");
  ASSERT_EQ(::mkfifo((folder.path() + "/fifo").c_str(), 0644), 0);
  std::ofstream(folder.path() + "/with space") << "x";
  std::ofstream(folder.path() + "/.hidden") << "x";
  const Result<ObjectPage> page = store->List("", "", 10);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->rows.size(), 1u);
  EXPECT_FALSE(store->Get("link", 0, 10).ok());
  EXPECT_EQ(store->Get("fifo", 0, 10).error().code, Code::kNotFound);
}

TEST(DirStore, MakesAFolderAgainThatWasRemovedByHand) {
  const TestFolder folder;
  auto store = OpenForWriting(folder.path());
  ASSERT_TRUE(store->PutIfAbsent("a/b/c", {}).ok());
  std::filesystem::remove_all(folder.path() + "/a");
  EXPECT_TRUE(store->PutIfAbsent("a/b/c", {}).ok());
  std::filesystem::remove_all(folder.path() + "/a");
  EXPECT_TRUE(store->Put("a/b/c", {}).ok());
}

TEST(DirStore, SweepsTempFilesOfDeadWritersOnly) {
  const TestFolder folder;
  OpenForWriting(folder.path());
  const std::string hidden = folder.path() + "/.morsel/";
  const timespec old_times[2] = {{1, 0}, {1, 0}};
  for (const char* name : {"tmp-dead", "tmp-alive", "tmp-new"})
    std::ofstream(hidden + name) << "half";
  ::utimensat(AT_FDCWD, (hidden + "tmp-dead").c_str(), old_times, 0);
  ::utimensat(AT_FDCWD, (hidden + "tmp-alive").c_str(), old_times, 0);
  Result<Fd> alive = OpenFile(hidden + "tmp-alive", O_RDWR);
  ASSERT_TRUE(alive.ok());
  ASSERT_EQ(::flock(alive->get(), LOCK_EX | LOCK_NB), 0);
  OpenForWriting(folder.path());
  EXPECT_FALSE(std::filesystem::exists(hidden + "tmp-dead"));
  EXPECT_TRUE(std::filesystem::exists(hidden + "tmp-alive"));
  EXPECT_TRUE(std::filesystem::exists(hidden + "tmp-new"));
}

// Puts objects whose bytes follow from their number until it is killed, and
// reports each number when its put has returned.
[[noreturn]] void PutUntilKilled(const std::string& path, int report_fd) {
  auto store = DirStore::Open(path, Access::kWrite);
  for (uint32_t i = 0; store.ok(); ++i) {
    const Bytes bytes(200'000, static_cast<std::byte>(i % 251));
    const std::string key = "objects/" + std::to_string(i);
    const Status put = i % 2 == 0 ? (*store)->PutIfAbsent(key, bytes)
                                  : (*store)->Put(key, bytes);
    if (!put.ok() || ::write(report_fd, &i, sizeof(i)) != sizeof(i)) break;
  }
  ::_exit(1);
}

TEST(DirStore, AKilledWriterLosesNothingAndLeavesNothingHalf) {
  const TestFolder folder;
  for (uint32_t kill_after : {3u, 10u, 21u}) {
    const std::string path = folder.path() + "/" + std::to_string(kill_after);
    int report[2];
    ASSERT_EQ(::pipe(report), 0);
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) PutUntilKilled(path, report[1]);
    ::close(report[1]);
    uint32_t done = 0;
    while (done < kill_after &&
           ::read(report[0], &done, sizeof(done)) == sizeof(done)) {
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    while (::read(report[0], &done, sizeof(done)) == sizeof(done)) {
    }
    ::close(report[0]);
    ASSERT_GE(done, kill_after);
    auto store = OpenForWriting(path);
    const Result<ObjectPage> page = store->List("objects/", "", 10'000);
    ASSERT_TRUE(page.ok());
    EXPECT_GE(page->rows.size(), done + 1);  // all that were acknowledged
    for (const auto& row : page->rows) {
      const uint32_t i = static_cast<uint32_t>(std::stoul(row.key.substr(8)));
      const Result<ObjectData> data = store->Get(row.key, 0, UINT64_MAX);
      ASSERT_TRUE(data.ok());
      EXPECT_EQ(data->bytes, Bytes(200'000, static_cast<std::byte>(i % 251)));
    }
  }
}

class FullDisk : public testing::Test {
 protected:
  void SetUp() override {
    if (::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=1m") != 0)
      GTEST_SKIP() << "no right to mount a small tmpfs";
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  TestFolder folder_;
  bool mounted_ = false;
};

TEST_F(FullDisk, IsReportedAndLosesNothing) {
  auto store = OpenForWriting(folder_.path());
  const Bytes half(500'000, std::byte{1});
  const Bytes other(700'000, std::byte{2});
  ASSERT_TRUE(store->Put("kept", half).ok());
  EXPECT_EQ(store->PutIfAbsent("new", other).error().code, Code::kExhausted);
  EXPECT_EQ(store->Put("kept", other).error().code, Code::kExhausted);
  const std::string version = store->Head("kept")->version;
  EXPECT_EQ(store->ReplaceIfUnchanged("kept", other, version).error().code,
            Code::kExhausted);
  EXPECT_EQ(store->Head("new").error().code, Code::kNotFound);
  EXPECT_EQ(store->Get("kept", 0, UINT64_MAX)->bytes, half);
  EXPECT_EQ(TempFiles(folder_.path()), 0u);
  ASSERT_TRUE(store->Delete("kept").ok());
  EXPECT_TRUE(store->PutIfAbsent("new", other).ok());
}

TEST(OpenStore, KnowsDirectoriesAndRefusesOtherProviders) {
  const TestFolder folder;
  EXPECT_TRUE(OpenStore(folder.path(), Access::kWrite).ok());
  EXPECT_TRUE(OpenStore("dir:" + folder.path(), Access::kRead).ok());
  EXPECT_EQ(OpenStore(folder.path() + "/none", Access::kRead).error().code,
            Code::kNotFound);
  for (const char* origin : {"", "dir:", "s3://", "s3://B", "gs://bucket/x"})
    EXPECT_EQ(OpenStore(origin, Access::kRead).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace morsel
