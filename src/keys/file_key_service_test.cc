// SPDX-License-Identifier: Apache-2.0
#include "keys/file_key_service.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <sstream>
#include <thread>

#include "base/fd.h"

namespace morsel {
namespace {

class FileKeyServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "morsel-keys-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/key";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<KeyService> MakeKeys(const std::string& path) {
    EXPECT_TRUE(FileKeyService::Create(path, SystemRandom()).ok());
    Result<std::unique_ptr<KeyService>> keys = FileKeyService::Open(path);
    EXPECT_TRUE(keys.ok());
    return keys.ok() ? std::move(keys).value() : nullptr;
  }
  Code OpenCode() {
    const auto opened = FileKeyService::Open(path_);
    return opened.ok() ? Code::kInternal : opened.error().code;
  }
  void WriteText(std::string_view text, mode_t mode = 0600) {
    ASSERT_TRUE(WriteFileAtomically(path_, AsBytes(text), mode).ok());
  }

  std::string folder_;
  std::string path_;
};

bool Same(const SecretKey& a, const SecretKey& b) {
  return AsText(a.bytes()) == AsText(b.bytes());
}

TEST_F(FileKeyServiceTest, UnwrapsWhatItWrapped) {
  const auto keys = MakeKeys(path_);
  const SecretKey data_key = SecretKey::Generate(SystemRandom());
  const WrappedKey wrapped = keys->Wrap(data_key, "app").value();
  EXPECT_EQ(wrapped.key_id, keys->KeyId());
  EXPECT_EQ(wrapped.blob_hex.find(ToHex(data_key.bytes())), std::string::npos);
  EXPECT_TRUE(Same(keys->Unwrap(wrapped, "app").value(), data_key));
}

// tests/golden/make.py made it: a key file, its id, and a wrapping.
TEST_F(FileKeyServiceTest, UnwrapsTheGoldenFile) {
  const Bytes golden =
      ReadWholeFile(GOLDEN_FOLDER "/wrapped-key-1", kMiB).value();
  std::istringstream lines{std::string(AsText(golden))};
  std::string key_line;
  WrappedKey wrapped;
  std::getline(lines, key_line);
  std::getline(lines, wrapped.key_id);
  std::getline(lines, wrapped.blob_hex);
  WriteText(key_line + "\n");
  const auto keys = FileKeyService::Open(path_).value();
  EXPECT_EQ(keys->KeyId(), wrapped.key_id);
  EXPECT_EQ(AsText(keys->Unwrap(wrapped, "library/python").value().bytes()),
            "0123456789abcdef0123456789abcdef");
}

TEST_F(FileKeyServiceTest, MakesAFileThatOnlyItsOwnerReads) {
  MakeKeys(path_);
  struct stat info;
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  const Status again = FileKeyService::Create(path_, SystemRandom());
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, Code::kExists);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(folder_))
    ++files;
  EXPECT_EQ(files, 1U);
}

TEST_F(FileKeyServiceTest, RefusesAnotherContextAndEveryDamage) {
  const auto keys = MakeKeys(path_);
  const SecretKey data_key = SecretKey::Generate(SystemRandom());
  const WrappedKey wrapped = keys->Wrap(data_key, "app").value();
  EXPECT_EQ(keys->Unwrap(wrapped, "other").error().code, Code::kCorrupt);
  for (size_t i = 0; i < wrapped.blob_hex.size(); ++i) {
    WrappedKey damaged = wrapped;
    damaged.blob_hex[i] = damaged.blob_hex[i] == '0' ? '1' : '0';
    EXPECT_EQ(keys->Unwrap(damaged, "app").error().code, Code::kCorrupt);
  }
  WrappedKey cut = wrapped;
  cut.blob_hex.pop_back();
  EXPECT_EQ(keys->Unwrap(cut, "app").error().code, Code::kCorrupt);
}

TEST_F(FileKeyServiceTest, DeniesWhatAnotherKeyWrapped) {
  const auto keys = MakeKeys(path_);
  const auto others = MakeKeys(folder_ + "/other");
  const WrappedKey wrapped =
      others->Wrap(SecretKey::Generate(SystemRandom()), "app").value();
  const Result<SecretKey> refused = keys->Unwrap(wrapped, "app");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kDenied);
  EXPECT_NE(refused.error().message.find(others->KeyId()), std::string::npos);
}

TEST_F(FileKeyServiceTest, TheNewestKeyWrapsAndAllUnwrap) {
  const auto old_keys = MakeKeys(path_);
  const SecretKey data_key = SecretKey::Generate(SystemRandom());
  const WrappedKey wrapped = old_keys->Wrap(data_key, "app").value();
  const Bytes old_text = ReadWholeFile(path_, kMiB).value();
  WriteText("# rotated\n" + std::string(AsText(old_text)) + "\nmorsel-key-1 " +
            std::string(64, 'a') + "\n");
  const auto keys = FileKeyService::Open(path_).value();
  EXPECT_NE(keys->KeyId(), old_keys->KeyId());
  EXPECT_TRUE(Same(keys->Unwrap(wrapped, "app").value(), data_key));
}

TEST_F(FileKeyServiceTest, NamesWhatIsWrongWithTheFile) {
  EXPECT_EQ(OpenCode(), Code::kDenied);
  WriteText("");
  EXPECT_EQ(OpenCode(), Code::kInvalid);
  WriteText("morsel-key-1 abc\n");
  EXPECT_EQ(OpenCode(), Code::kInvalid);
  WriteText("morsel-key-1 " + std::string(64, 'a') + "\nwhat\n");
  const auto opened = FileKeyService::Open(path_);
  EXPECT_NE(opened.error().message.find("line 2"), std::string::npos);
  WriteText("morsel-key-1 " + std::string(64, 'a') + "\n", 0640);
  EXPECT_EQ(OpenCode(), Code::kDenied);
}

TEST_F(FileKeyServiceTest, AnAddedKeyWrapsAndTheOldOnesStillUnwrap) {
  const auto before = MakeKeys(path_);
  const WrappedKey old = before->Generate("c")->wrapped;
  const std::string id = FileKeyService::Add(path_, SystemRandom()).value();
  const auto after = FileKeyService::Open(path_).value();
  EXPECT_EQ(after->KeyId(), id);
  EXPECT_EQ(FileKeyService::List(path_).value(),
            (std::vector<std::string>{before->KeyId(), id}));
  EXPECT_TRUE(after->Unwrap(old, "c").ok());
  EXPECT_EQ(before->Unwrap(after->Generate("c")->wrapped, "c").error().code,
            Code::kDenied);
  struct stat info;
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(FileKeyServiceTest, KeysThatAreAddedAtOnceAreAllKept) {
  MakeKeys(path_);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&] {
        EXPECT_TRUE(FileKeyService::Add(path_, SystemRandom()).ok());
      });
  }
  EXPECT_EQ(FileKeyService::List(path_)->size(), 9u);
  EXPECT_EQ(FileKeyService::Add(path_ + "2", SystemRandom()).error().code,
            Code::kDenied);
}

}  // namespace
}  // namespace morsel
