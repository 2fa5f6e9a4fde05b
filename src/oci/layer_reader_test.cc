// SPDX-License-Identifier: Apache-2.0
#include "oci/layer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "oci/path.h"
#include "oci/test_tar.h"

namespace morsel {
namespace {

using ::testing::HasSubstr;

// Gives a text in pieces of a size that suits nobody.
class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  Result<ByteSpan> Read() override {
    const size_t size = std::min<size_t>(777, text_.size() - position_);
    position_ += size;
    return AsBytes(std::string_view(text_).substr(position_ - size, size));
  }

 private:
  const std::string text_;
  size_t position_ = 0;
};

struct ReadEntry {
  LayerEntry entry;
  std::string data;  // holes as zeros
};

Result<std::vector<ReadEntry>> ReadAll(std::string tar) {
  TextSource source(std::move(tar));
  const auto reader = LayerReader::Open(source, "sha256:test").value();
  std::vector<ReadEntry> all;
  while (true) {
    ReadEntry item;
    ASSIGN_OR_RETURN(const bool more, reader->Next(item.entry));
    if (!more) return all;
    if (S_ISREG(item.entry.mode)) {
      DataRun run;
      while (true) {
        ASSIGN_OR_RETURN(const bool data, reader->ReadData(run));
        if (!data) break;
        item.data.resize(run.offset, '\0');
        item.data += AsText(run.bytes);
      }
    }
    all.push_back(std::move(item));
  }
}

ReadEntry ReadOne(const TarEntry& entry) {
  const auto all = ReadAll(TarWriter().Add(entry).Finish());
  EXPECT_TRUE(all.ok()) << (all.ok() ? "" : all.error().message);
  if (!all.ok() || all->size() != 1) return {};
  return all->front();
}

void ExpectRefused(const TarEntry& entry, const std::string& message) {
  const auto all = ReadAll(TarWriter().Add(entry).Finish());
  ASSERT_FALSE(all.ok()) << entry.path;
  EXPECT_EQ(all.error().code, Code::kInvalid);
  EXPECT_THAT(all.error().message, HasSubstr(message));
  EXPECT_THAT(all.error().message, HasSubstr("layer sha256:test, entry "));
}

TEST(LayerReader, ReadsEveryType) {
  TarWriter tar;
  tar.Dir("./etc/", 0750).File("etc/a", "hello").Symlink("etc/l", "/x/../y");
  tar.HardLink("etc/h", "./etc//a");
  tar.Add({.path = "dev/sda",
           .type = '4',
           .mode = 0660,
           .device_major = 8,
           .device_minor = 300});
  tar.Add({.path = "fifo", .type = '6', .mode = 04600});
  const auto all = ReadAll(tar.Finish());
  ASSERT_TRUE(all.ok()) << all.error().message;
  ASSERT_EQ(all->size(), 6u);
  EXPECT_EQ((*all)[0].entry.path, "etc");
  EXPECT_EQ((*all)[0].entry.mode, S_IFDIR | 0750u);
  EXPECT_EQ((*all)[1].data, "hello");
  EXPECT_EQ((*all)[1].entry.size_bytes, 5u);
  EXPECT_EQ((*all)[2].entry.target, "/x/../y");
  EXPECT_TRUE((*all)[3].entry.is_hard_link());
  EXPECT_EQ((*all)[3].entry.target, "etc/a");
  EXPECT_EQ((*all)[4].entry.device_major, 8u);
  EXPECT_EQ((*all)[4].entry.device_minor, 300u);
  EXPECT_EQ((*all)[5].entry.mode, S_IFIFO | 04600u);
}

TEST(LayerReader, KeepsTimesToTheNanosecondAlsoBefore1970) {
  const auto time = [](const std::string& text) {
    const LayerEntry entry = ReadOne({.path = "a", .mtime = text}).entry;
    return std::make_pair(entry.mtime_seconds, entry.mtime_nanoseconds);
  };
  EXPECT_EQ(time("1.000000001"), std::make_pair(int64_t{1}, 1u));
  EXPECT_EQ(time("-86400.25"), std::make_pair(int64_t{-86401}, 750'000'000u));
  EXPECT_EQ(time("-86400"), std::make_pair(int64_t{-86400}, 0u));
  EXPECT_EQ(time("0.5"), std::make_pair(int64_t{0}, 500'000'000u));
  EXPECT_EQ(time("-0.000000001"), std::make_pair(int64_t{-1}, 999'999'999u));
  EXPECT_EQ(time("-0.75"), std::make_pair(int64_t{-1}, 250'000'000u));
  EXPECT_EQ(time("-1"), std::make_pair(int64_t{-1}, 0u));
  EXPECT_EQ(time("15032385535.999999999"),
            std::make_pair(int64_t{15032385535}, 999'999'999u));
}

// The sign stands in a header that is read again, from pieces that end
// anywhere, behind data that was read, in part, or not at all.
TEST(LayerReader, KeepsTheSignOfATimeJustBefore1970WhereverItsHeaderLies) {
  TarWriter tar;
  for (int i = 0; i < 40; ++i) {
    tar.Add({.path = "before" + std::to_string(i),
             .data = std::string(static_cast<size_t>(i) * 97, 'd')});
    tar.Add({.path = std::string(static_cast<size_t>(i) * 6 + 1, 'n'),
             .mtime = i % 2 == 0 ? "-0.25" : "0.25",
             .pax = {{"SCHILY.xattr.user.long",
                      std::string(static_cast<size_t>(i) * 53, 'v')},
                     {"comment", "7 mtime=-5"}}});
  }
  for (const bool read_data : {true, false}) {
    TextSource source(tar.Finish());
    const auto reader = LayerReader::Open(source, "sha256:test").value();
    for (int i = 0; i < 80; ++i) {
      LayerEntry entry;
      const auto more = reader->Next(entry);
      ASSERT_TRUE(more.ok()) << more.error().message;
      if (i % 2 == 1) {
        const bool before = i / 2 % 2 == 0;
        EXPECT_EQ(entry.mtime_seconds, before ? -1 : 0) << i;
        EXPECT_EQ(entry.mtime_nanoseconds, before ? 750'000'000u : 250'000'000u)
            << i;
      } else if (read_data) {
        DataRun run;
        EXPECT_TRUE(reader->ReadData(run).ok());
      }
    }
  }
}

TEST(LayerReader, KeepsNamesByteForByte) {
  // Composed, decomposed, and no UTF-8 at all.
  for (const std::string name :
       {"h\xc3\xa4", "e\xcc\x81", "bad\xff\xfe", "new\nline"}) {
    EXPECT_EQ(ReadOne({.path = name}).entry.path, name);
    EXPECT_EQ(ReadOne({.path = "x", .pax = {{"path", name}}}).entry.path, name);
    EXPECT_EQ(ReadOne({.path = "x",
                       .type = '2',
                       .link = "y",
                       .pax = {{"linkpath", name}}})
                  .entry.target,
              name);
  }
}

TEST(LayerReader, ReadsLargeIds) {
  const LayerEntry entry =
      ReadOne({.path = "a", .uid = 4294967294, .gid = 70000}).entry;
  EXPECT_EQ(entry.uid, 4294967294u);
  EXPECT_EQ(entry.gid, 70000u);
  ExpectRefused({.path = "a", .uid = 4294967295}, "user id 4294967295");
}

TEST(LayerReader, ReadsXattrsSortedAndBinary) {
  const std::string capability("\x01\0\0\x02\0\0", 6);
  const LayerEntry entry =
      ReadOne({.path = "ping",
               .pax = {{"SCHILY.xattr.user.b", "2"},
                       {"SCHILY.xattr.security.capability", capability},
                       {"SCHILY.xattr.com.apple.quarantine", "q"}}})
          .entry;
  ASSERT_EQ(entry.xattrs.size(), 2u);
  EXPECT_EQ(entry.xattrs[0].first, "security.capability");
  EXPECT_EQ(entry.xattrs[0].second, capability);
  EXPECT_EQ(entry.xattrs[1].first, "user.b");
  EXPECT_THAT(entry.warning, HasSubstr("com.apple.quarantine"));
}

std::string AclOf(const LayerEntry& entry, std::string_view name) {
  for (const auto& [key, value] : entry.xattrs)
    if (key == name) return ToHex(AsBytes(value));
  return "";
}

TEST(LayerReader, TurnsAclTextIntoTheKernelsForm) {
  const LayerEntry entry =
      ReadOne(
          {.path = "a",
           .mode = 0654,
           .pax = {{"SCHILY.acl.access",
                    "user::rw-,user:1000:rwx,group::r--,mask::r-x,"
                    "other::r--"},
                   {"SCHILY.acl.default", "user::rwx,group::r-x,other::---"}}})
          .entry;
  EXPECT_EQ(entry.mode, S_IFREG | 0654u);
  EXPECT_EQ(AclOf(entry, "system.posix_acl_access"),
            "02000000"
            "01000600ffffffff"
            "02000700e8030000"
            "04000400ffffffff"
            "10000500ffffffff"
            "20000400ffffffff");
  EXPECT_EQ(AclOf(entry, "system.posix_acl_default"),
            "02000000"
            "01000700ffffffff"
            "04000500ffffffff"
            "20000000ffffffff");
}

TEST(LayerReader, LeavesOutAnAclOfUnknownNamesWithAWarning) {
  const LayerEntry entry =
      ReadOne({.path = "a",
               .pax = {{"SCHILY.acl.access",
                        "user::rw-,user:bob:rwx,group::r--,mask::r-x,"
                        "other::r--"}}})
          .entry;
  EXPECT_TRUE(entry.xattrs.empty());
  EXPECT_THAT(entry.warning, HasSubstr("without its number"));
}

TEST(LayerReader, ReadsSparseFilesAsRuns) {
  // GNU.sparse 1.0: the map is in front of the data.
  std::string map = "2\n4096\n3\n10000\n2\n";
  map.resize(512, '\0');
  const ReadEntry read = ReadOne({.path = "GNUSparseFile.0/s",
                                  .data = map + "abcde",
                                  .pax = {{"GNU.sparse.major", "1"},
                                          {"GNU.sparse.minor", "0"},
                                          {"GNU.sparse.name", "s"},
                                          {"GNU.sparse.realsize", "20000"}}});
  EXPECT_EQ(read.entry.path, "s");
  EXPECT_EQ(read.entry.size_bytes, 20000u);
  EXPECT_EQ(read.data.substr(4096, 3), "abc");
  EXPECT_EQ(read.data.substr(10000, 2), "de");
}

TEST(LayerReader, TakesNamesAtTheLimitAndRefusesLongerOnes) {
  const std::string name(255, 'n');
  EXPECT_EQ(ReadOne({.path = name}).entry.path, name);
  ExpectRefused({.path = name + "n"}, "longer than 255 bytes");
  std::string path;
  while (path.size() < 4095) path += "d/";
  path.resize(4095, 'e');
  EXPECT_EQ(ReadOne({.path = path}).entry.path, path);
  ExpectRefused({.path = path + "/ff"}, "longer than 4095 bytes");
  const std::string target(4095, 't');
  EXPECT_EQ(ReadOne({.path = "l", .type = '2', .link = target}).entry.target,
            target);
  ExpectRefused({.path = "l", .type = '2', .link = target + "t"},
                "longer than 4095 bytes");
}

TEST(LayerReader, CleansNamesAndRefusesThoseThatLeaveTheRoot) {
  EXPECT_EQ(ReadOne({.path = "/a//./b/../c/"}).entry.path, "a/c");
  EXPECT_EQ(ReadOne({.path = "/../a"}).entry.path, "a");
  EXPECT_EQ(ReadOne({.path = "./", .type = '5'}).entry.path, "");
  ExpectRefused({.path = "../a"}, "leaves the image's root");
  ExpectRefused({.path = "a/../../b"}, "leaves the image's root");
  ExpectRefused({.path = "h", .type = '1', .link = "../../etc/shadow"},
                "leaves the image's root");
}

TEST(LayerReader, RefusesAbsurdSizesAndDevices) {
  ExpectRefused({.path = "a", .pax = {{"size", "99999999999999"}}},
                "larger than ext4 allows");
  ExpectRefused({.path = "d", .type = '3', .device_major = 4096},
                "device number");
  ExpectRefused({.path = "l", .type = '2'}, "no target");
}

TEST(LayerReader, TakesAnEmptyLayer) {
  EXPECT_TRUE(ReadAll(TarWriter().Finish())->empty());
  EXPECT_TRUE(ReadAll("")->empty());
}

TEST(LayerReader, RefusesWhatIsNoTar) {
  const auto all = ReadAll(std::string(5000, 'x'));
  ASSERT_FALSE(all.ok());
  EXPECT_EQ(all.error().code, Code::kInvalid);
  EXPECT_THAT(all.error().message, HasSubstr("no sound tar"));
}

TEST(LayerReader, FindsATarThatIsCutShort) {
  const std::string tar =
      TarWriter().File("a", std::string(5000, 'a')).Finish();
  for (const size_t size : {100u, 600u, 3000u, 5500u}) {
    const auto all = ReadAll(tar.substr(0, size));
    ASSERT_FALSE(all.ok()) << size;
    if (size > 512) {
      EXPECT_EQ(all.error().code, Code::kCorrupt) << size;
      EXPECT_THAT(all.error().message, HasSubstr("cut short"));
    }
  }
}

class FailingSource final : public ByteSource {
 public:
  Result<ByteSpan> Read() override {
    return MakeError(Code::kIo, "the disk is gone");
  }
};

TEST(LayerReader, PassesOnErrorsOfItsSource) {
  FailingSource source;
  LayerEntry entry;
  const auto more =
      LayerReader::Open(source, "sha256:test").value()->Next(entry);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, Code::kIo);
  EXPECT_THAT(more.error().message, HasSubstr("the disk is gone"));
}

TEST(Path, PrintsWhatIsNotPrintable) {
  EXPECT_EQ(PrintablePath("a\nb\xff"), "a\\x0ab\\xff");
  EXPECT_EQ(PrintablePath(std::string(300, 'x')).size(), 203u);
}

}  // namespace
}  // namespace morsel
