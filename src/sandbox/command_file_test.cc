// SPDX-License-Identifier: Apache-2.0
#include "sandbox/command_file.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace morsel {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kElf =
    "\x7f"
    "ELF";

// A root with /bin and, beside it, a folder for binds.
class CommandFileTest : public ::testing::Test {
 protected:
  CommandFileTest() {
    std::string dir = fs::temp_directory_path() / "morsel-command-XXXXXX";
    CHECK(::mkdtemp(dir.data()) != nullptr);
    top_ = dir;
    fs::create_directories(top_ / "root/bin");
    fs::create_directories(top_ / "host/sub");
    rootfs_.emplace(Rootfs::Open((top_ / "root").string()).value());
  }
  ~CommandFileTest() override { fs::remove_all(top_); }

  void Write(const std::string& path, const std::string& text,
             int mode = 0755) {
    std::ofstream(top_ / path, std::ios::binary) << text;
    fs::permissions(top_ / path, fs::perms(mode));
  }
  void Bind(const std::string& host, const std::string& path) {
    binds_.push_back({(top_ / host).string(), path, false});
  }
  ContainerView View() { return ContainerView::Make(*rootfs_, binds_).value(); }
  Result<std::string> Find(const std::string& command,
                           const std::string& search_path = "/bin",
                           const std::string& working_dir = "/") {
    return FindCommand(View(), command, search_path, working_dir);
  }
  Code WhyNot(const std::string& path) {
    const Status checked = CheckProgram(View(), path);
    EXPECT_FALSE(checked.ok()) << path;
    return checked.ok() ? Code::kInternal : checked.error().code;
  }

  fs::path top_;
  std::optional<Rootfs> rootfs_;
  std::vector<BindMount> binds_;
};

TEST_F(CommandFileTest, FindsCommandsInPathOrByPath) {
  Write("root/bin/tool", kElf);
  fs::create_symlink("/bin/tool", top_ / "root/bin/link");
  EXPECT_EQ(*Find("tool", "/sbin::/bin"), "/bin/tool");
  EXPECT_EQ(*Find("link"), "/bin/link");
  EXPECT_EQ(*Find("/bin/tool", ""), "/bin/tool");
  EXPECT_TRUE(Find("./tool", "", "/bin").ok());
  EXPECT_TRUE(Find("../bin/tool", "", "/bin").ok());
}

TEST_F(CommandFileTest, SaysWhyACommandIsNone) {
  Write("root/bin/data", kElf, 0644);
  Write("outside", kElf);
  fs::create_symlink("../../../outside", top_ / "root/bin/escape");
  EXPECT_EQ(Find("missing").error().code, Code::kNotFound);
  EXPECT_EQ(Find("").error().code, Code::kNotFound);
  EXPECT_EQ(Find("escape").error().code, Code::kNotFound);
  EXPECT_EQ(Find("data").error().code, Code::kDenied);
  EXPECT_EQ(Find("/bin").error().code, Code::kDenied);
}

TEST_F(CommandFileTest, SaysWhatTheKernelWouldSay) {
  Write("root/bin/sh", kElf);
  Write("root/bin/good", "#! /bin/sh -e\n");
  Write("root/bin/garbage", "garbage");
  Write("root/bin/script", "#!/bin/no-such-shell -x\n");
  Write("root/bin/outer", "#!/bin/script\n");
  Write("root/bin/loop", "#!/bin/loop\n");
  Write("root/bin/data", kElf, 0644);
  Write("root/bin/refused", "#!/bin/data\n");
  EXPECT_TRUE(CheckProgram(View(), "/bin/good").ok());
  EXPECT_EQ(WhyNot("/bin/garbage"), Code::kDenied);
  EXPECT_EQ(WhyNot("/bin/script"), Code::kNotFound);
  EXPECT_EQ(WhyNot("/bin/outer"), Code::kNotFound);
  EXPECT_EQ(WhyNot("/bin/loop"), Code::kDenied);
  EXPECT_EQ(WhyNot("/bin/refused"), Code::kDenied);
  EXPECT_THAT(CheckProgram(View(), "/bin/script").error().message,
              HasSubstr("/bin/no-such-shell"));
}

TEST_F(CommandFileTest, NamesTheLoaderThatIsMissing) {
  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phoff = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  const std::string loader("/lib/ld.so\0", 11);
  Elf64_Phdr row{};
  row.p_type = PT_INTERP;
  row.p_offset = sizeof(header) + sizeof(row);
  row.p_filesz = loader.size();
  const auto text = [](const auto& part) {
    return std::string(AsText(std::as_bytes(std::span(&part, 1))));
  };
  Write("root/bin/program", text(header) + text(row) + loader);
  EXPECT_EQ(WhyNot("/bin/program"), Code::kNotFound);
  EXPECT_THAT(CheckProgram(View(), "/bin/program").error().message,
              HasSubstr("/lib/ld.so"));
  fs::create_directories(top_ / "root/lib");
  Write("root/lib/ld.so", kElf);
  EXPECT_TRUE(CheckProgram(View(), "/bin/program").ok());
  // Cut short: the kernel's to judge.
  Write("root/bin/short", text(header));
  EXPECT_TRUE(CheckProgram(View(), "/bin/short").ok());
}

TEST_F(CommandFileTest, LooksThroughBinds) {
  Write("root/bin/sh", kElf);
  Write("host/script", "#!/bin/sh\n");
  Write("host/bad", "#!/host/none\n");
  Write("host/sub/tool", kElf);
  Bind("host", "/host");
  Bind("host/bad", "/made/for/it");
  EXPECT_EQ(*Find("/host/script"), "/host/script");
  EXPECT_TRUE(CheckProgram(View(), "/host/script").ok());
  EXPECT_EQ(WhyNot("/host/bad"), Code::kNotFound);
  EXPECT_EQ(*Find("/made/for/it"), "/made/for/it");
  EXPECT_EQ(*Find("/made/../made/for/it"), "/made/../made/for/it");
  EXPECT_EQ(WhyNot("/made/for/it"), Code::kNotFound);
  EXPECT_EQ(*Find("tool", "/host/sub"), "/host/sub/tool");
  EXPECT_EQ(Find("/host/none").error().code, Code::kNotFound);
}

TEST_F(CommandFileTest, FollowsSymlinksAsTheContainerWill) {
  Write("root/bin/sh", kElf);
  Write("host/tool", kElf);
  Write("outside", kElf);
  Bind("host", "/host");
  fs::create_symlink("/bin/sh", top_ / "host/into-image");
  fs::create_symlink("../../outside", top_ / "host/sub/up");
  fs::create_symlink("/host/tool", top_ / "root/bin/into-bind");
  fs::create_symlink("round", top_ / "host/round");
  EXPECT_TRUE(Find("/host/into-image").ok());
  EXPECT_TRUE(Find("into-bind").ok());
  EXPECT_EQ(Find("/host/sub/up").error().code, Code::kNotFound);
  EXPECT_EQ(Find("/host/round").error().code, Code::kNotFound);
  EXPECT_EQ(View().Open("/host/round", 0).error().code, Code::kInvalid);
}

TEST_F(CommandFileTest, ALaterBindCoversAnEarlierOne) {
  Write("host/sub/tool", kElf);
  Bind("host/sub", "/a/b");
  fs::create_directory_symlink("/a", top_ / "root/link");
  EXPECT_TRUE(Find("/link/b/tool").ok());
  Bind("host", "/link");
  EXPECT_FALSE(Find("/a/b/tool").ok());
  EXPECT_TRUE(Find("/a/sub/tool").ok());
}

}  // namespace
}  // namespace morsel
