// SPDX-License-Identifier: Apache-2.0
#include "sandbox/rootfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace morsel {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RootfsTest : public ::testing::Test {
 protected:
  RootfsTest() {
    std::string dir = fs::temp_directory_path() / "morsel-rootfs-XXXXXX";
    CHECK(::mkdtemp(dir.data()) != nullptr);
    top_ = dir;
    root_ = top_ / "root";
    fs::create_directories(root_ / "etc");
    fs::create_directories(root_ / "bin");
    Write("etc/passwd",
          "root:x:0:0:root:/root:/bin/sh\n"
          "broken line\n"
          "www:x:33:34:www:/srv/www:/bin/sh\n"
          "1000:x:55:55:a name of digits:/d:/bin/sh\n"
          "huge:x:99999999999:1::/:/bin/sh\n");
    Write("etc/group",
          "root:x:0:\nweb:x:34:\nlog:x:40:a,www\nx:x:41:www\n"
          "again:x:40:www\nmine:x:34:www\n");
  }
  ~RootfsTest() override { fs::remove_all(top_); }

  void Write(const std::string& path, const std::string& text,
             int mode = 0644) {
    std::ofstream(root_ / path, std::ios::binary) << text;
    fs::permissions(root_ / path, fs::perms(mode));
  }
  Rootfs Open() { return Rootfs::Open(root_.string()).value(); }

  fs::path top_;  // the root and what lies beside it
  fs::path root_;
};

TEST_F(RootfsTest, IsRootWhereNothingIsSaid) {
  const auto user = Open().LookUpUser("");
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->uid, 0U);
  EXPECT_EQ(user->home, "/root");
}

TEST_F(RootfsTest, FindsNamesWithTheirGroups) {
  const auto user = Open().LookUpUser("www");
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->uid, 33U);
  EXPECT_EQ(user->gid, 34U);
  EXPECT_EQ(user->home, "/srv/www");
  EXPECT_THAT(user->additional_gids, ElementsAre(40, 41));
}

TEST_F(RootfsTest, TakesTheGroupThatIsNamedAlone) {
  const auto user = Open().LookUpUser("www:log");
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->gid, 40U);
  EXPECT_TRUE(user->additional_gids.empty());
  EXPECT_EQ(Open().LookUpUser("33:7")->gid, 7U);
  EXPECT_EQ(Open().LookUpUser(":log")->uid, 0U);
}

TEST_F(RootfsTest, TakesNumbersThatNobodyKnows) {
  const auto user = Open().LookUpUser("4242");
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->uid, 4242U);
  EXPECT_EQ(user->gid, 0U);
  EXPECT_EQ(user->home, "/");
  // A name of digits is a name first, as with docker.
  EXPECT_EQ(Open().LookUpUser("1000")->uid, 55U);
  EXPECT_EQ(Open().LookUpUser("33")->gid, 34U);
}

TEST_F(RootfsTest, RefusesUnknownNamesAndHugeNumbers) {
  EXPECT_EQ(Open().LookUpUser("nobody").error().code, Code::kNotFound);
  EXPECT_EQ(Open().LookUpUser("www:no").error().code, Code::kNotFound);
  EXPECT_EQ(Open().LookUpUser("huge").error().code, Code::kNotFound);
  EXPECT_EQ(Open().LookUpUser("4294967295").error().code, Code::kInvalid);
  EXPECT_EQ(Open().LookUpUser("0:99999999999999999999").error().code,
            Code::kInvalid);
}

TEST_F(RootfsTest, NeverReadsAPasswdOutsideTheRoot) {
  std::ofstream(top_ / "passwd") << "evil:x:1:1::/:/bin/sh\n";
  fs::create_directories(root_ / "inner");
  for (const char* target : {"../../passwd", "../../../../passwd"}) {
    fs::remove(root_ / "etc/passwd");
    fs::create_symlink(target, root_ / "etc/passwd");
    EXPECT_FALSE(Open().LookUpUser("evil").ok()) << target;
  }
  // An absolute link stays inside, and is followed there.
  Write("inner/passwd", "good:x:7:7::/:/bin/sh\n");
  fs::remove(root_ / "etc/passwd");
  fs::create_symlink("/inner/passwd", root_ / "etc/passwd");
  EXPECT_EQ(Open().LookUpUser("good")->uid, 7U);
}

TEST_F(RootfsTest, PassesOverAPasswdThatIsNoFile) {
  fs::remove(root_ / "etc/passwd");
  ASSERT_EQ(::mkfifo((root_ / "etc/passwd").c_str(), 0644), 0);
  EXPECT_EQ(Open().LookUpUser("www").error().code, Code::kNotFound);
  EXPECT_EQ(Open().LookUpUser("12")->uid, 12U);
  fs::remove(root_ / "etc/passwd");
  fs::create_symlink("/etc/passwd", root_ / "etc/passwd");  // a loop
  EXPECT_EQ(Open().LookUpUser("12")->uid, 12U);
  fs::remove(root_ / "etc/passwd");
  Write("etc/passwd", "");
  fs::resize_file(root_ / "etc/passwd", uint64_t{1} << 40);  // sparse
  EXPECT_EQ(Open().LookUpUser("12")->uid, 12U);
}

TEST_F(RootfsTest, MakesFoldersInsideOnly) {
  ASSERT_TRUE(Open().MakeDirectory("/a/b/../c").ok());
  EXPECT_TRUE(fs::is_directory(root_ / "a/c"));
  fs::create_symlink("../..", root_ / "up");
  ASSERT_TRUE(Open().MakeDirectory("/up/made").ok());
  EXPECT_TRUE(fs::is_directory(root_ / "made"));
  EXPECT_FALSE(fs::exists(top_ / "made"));
  EXPECT_TRUE(Open().MakeDirectory("/").ok());
  EXPECT_FALSE(Open().MakeDirectory("/etc/passwd").ok());
  EXPECT_FALSE(Open().MakeDirectory("/etc/passwd/x").ok());
}

}  // namespace
}  // namespace morsel
