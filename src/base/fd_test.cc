// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>

namespace morsel {
namespace {

namespace fs = std::filesystem;

class FdTest : public ::testing::Test {
 protected:
  FdTest() {
    std::string pattern = fs::temp_directory_path() / "morsel-fd-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~FdTest() override { fs::remove_all(folder_); }
  std::string At(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
};

bool IsOpen(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_F(FdTest, ADescriptorIsClosedOnceByItsLastOwner) {
  Fd first = OpenFile("/dev/null", O_RDONLY).value();
  const int number = first.get();
  Fd second = std::move(first);
  EXPECT_FALSE(static_cast<bool>(first));
  EXPECT_TRUE(IsOpen(number));
  second = Fd();
  EXPECT_FALSE(IsOpen(number));
}

TEST_F(FdTest, EveryDescriptorIsCloseOnExec) {
  const Fd opened = OpenFile("/dev/null", O_RDONLY).value();
  const Fd copy = Duplicate(opened.get()).value();
  const Fd memory = MakeMemoryFile("x", AsBytes("abc")).value();
  for (const Fd* fd : {&opened, &copy, &memory})
    EXPECT_EQ(::fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(FileSize(memory.get()).value(), 3U);
}

TEST_F(FdTest, ReadFullAtCallsAShortFileCorrupt) {
  const Fd file = MakeMemoryFile("x", AsBytes("abcdef")).value();
  std::array<std::byte, 4> out;
  ASSERT_TRUE(ReadFullAt(file.get(), 2, out).ok());
  EXPECT_EQ(AsText(out), "cdef");
  EXPECT_EQ(ReadFullAt(file.get(), 3, out).error().code, Code::kCorrupt);
}

TEST_F(FdTest, ReadUpToGathersWhatAPipeDeliversInPieces) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  ASSERT_TRUE(WriteFull(writer.get(), AsBytes("ab")).ok());
  ASSERT_TRUE(WriteFull(writer.get(), AsBytes("c")).ok());
  writer.Close();
  std::array<std::byte, 8> out;
  EXPECT_EQ(ReadUpTo(reader.get(), out).value(), 3U);
  EXPECT_EQ(ReadUpTo(reader.get(), out).value(), 0U);
}

TEST_F(FdTest, AWholeFileOverItsLimitIsExhausted) {
  const Bytes content(10000, std::byte{7});
  ASSERT_TRUE(WriteFileAtomically(At("f"), content, 0600).ok());
  EXPECT_EQ(ReadWholeFile(At("f"), 10000).value(), content);
  EXPECT_EQ(ReadWholeFile(At("f"), 9999).error().code, Code::kExhausted);
  EXPECT_EQ(ReadWholeFile(At("g"), 1).error().code, Code::kNotFound);
}

TEST_F(FdTest, FilesOfUnknownSizeAreReadWhole) {
  const Result<Bytes> status = ReadWholeFile("/proc/self/status", kMiB);
  ASSERT_TRUE(status.ok());
  EXPECT_THAT(std::string(AsText(*status)), ::testing::HasSubstr("Pid:"));
}

TEST_F(FdTest, AnAtomicWriteReplacesAndLeavesNothingElse) {
  ASSERT_TRUE(WriteFileAtomically(At("f"), AsBytes("old"), 0644).ok());
  ASSERT_TRUE(WriteFileAtomically(At("f"), AsBytes("new"), 0600).ok());
  EXPECT_EQ(AsText(ReadWholeFile(At("f"), 10).value()), "new");
  struct stat info;
  ASSERT_EQ(::stat(At("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(FdTest, AnAtomicWriteThatFailsKeepsTheOldAndLeavesNoPart) {
  fs::create_directory(At("f"));
  const Status status = WriteFileAtomically(At("f"), AsBytes("new"), 0600);
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(fs::is_directory(At("f")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
  EXPECT_EQ(WriteFileAtomically(At("no/f"), {}, 0600).error().code,
            Code::kNotFound);
}

TEST_F(FdTest, APathHasOneCanonicalName) {
  ASSERT_TRUE(MakeDirectories(At("a/b"), 0700).ok());
  const std::string here = CanonicalPath(At("a")).value();
  std::filesystem::create_directory_symlink(At("a"), At("link"));
  EXPECT_EQ(CanonicalPath(At("link/b/../b/")).value(), here + "/b");
  EXPECT_EQ(CanonicalPath(At("link/none/x/")).value(), here + "/none/x");
  EXPECT_EQ(CanonicalPath("/").value(), "/");
  EXPECT_EQ(CanonicalPath(".").value(),
            std::filesystem::current_path().string());
  EXPECT_EQ(CanonicalPath("not-there").value(),
            std::filesystem::current_path().string() + "/not-there");
  std::filesystem::create_symlink("loop", At("loop"));
  EXPECT_EQ(CanonicalPath(At("loop/x")).error().code, Code::kInvalid);
}

TEST_F(FdTest, MakeDirectoriesIsContentWithWhatIsThere) {
  ASSERT_TRUE(MakeDirectories(At("a/b/c"), 0700).ok());
  ASSERT_TRUE(MakeDirectories(At("a/b/c/"), 0700).ok());
  struct stat info;
  ASSERT_EQ(::stat(At("a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700U);
}

TEST_F(FdTest, MakeDirectoriesRefusesAFileInTheWay) {
  ASSERT_TRUE(WriteFileAtomically(At("f"), {}, 0600).ok());
  EXPECT_EQ(MakeDirectories(At("f"), 0700).error().code, Code::kInvalid);
  EXPECT_FALSE(MakeDirectories(At("f/g"), 0700).ok());
}

TEST_F(FdTest, AFullDiskIsExhausted) {
  const Result<Fd> full = OpenFile("/dev/full", O_WRONLY);
  if (!full.ok()) GTEST_SKIP() << "no /dev/full here";
  EXPECT_EQ(WriteFull(full->get(), AsBytes("x")).error().code,
            Code::kExhausted);
}

}  // namespace
}  // namespace morsel
