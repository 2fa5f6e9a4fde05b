// SPDX-License-Identifier: Apache-2.0
#include "crypto/secret_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <thread>

namespace morsel {
namespace {

std::string TextOf(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>('a' + i % 23 + i / 4096);
  return text;
}

class SecretFileTest : public ::testing::Test {
 protected:
  ~SecretFileTest() override { std::filesystem::remove(path_); }
  const std::string path_ = std::filesystem::temp_directory_path() /
                            ("morsel-secret-" + std::to_string(::getpid()));
};

TEST_F(SecretFileTest, ReadsFilesOfEverySize) {
  for (const size_t size : {0, 1, 4095, 4096, 4097, 8192, 12288, 70000}) {
    const std::string text = TextOf(size);
    ASSERT_TRUE(WriteFileAtomically(path_, AsBytes(text), 0600).ok());
    const Result<SecretBuffer> read = ReadSecretFile(path_, 70000);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(AsText(read->bytes()), text) << size;
  }
}

TEST_F(SecretFileTest, RefusesWhatIsTooLong) {
  ASSERT_TRUE(WriteFileAtomically(path_, AsBytes(TextOf(5000)), 0600).ok());
  EXPECT_EQ(ReadSecretFile(path_, 4999).error().code, Code::kExhausted);
  EXPECT_TRUE(ReadSecretFile(path_, 5000).ok());
}

TEST_F(SecretFileTest, SaysThatThereIsNone) {
  EXPECT_EQ(ReadSecretFile(path_, 1).error().code, Code::kNotFound);
  EXPECT_EQ(ReadSecretFile("/", 1).error().code, Code::kIo);
}

// Of a pipe nobody knows the size before.
TEST_F(SecretFileTest, ReadsAPipeToItsEnd) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const Fd read_end(ends[0]);
  const std::string text = TextOf(9000);
  std::jthread writer([&text, fd = ends[1]] {
    const Fd write_end(fd);
    EXPECT_TRUE(WriteFull(write_end.get(), AsBytes(text)).ok());
  });
  const Result<SecretBuffer> read = ReadSecrets(read_end, "pipe", 9000);
  writer.join();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(AsText(read->bytes()), text);
}

}  // namespace
}  // namespace morsel
