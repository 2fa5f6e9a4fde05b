// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>

namespace morsel {
namespace {

TEST(BytesTest, HexIsLowerCaseAndComesBack) {
  const Bytes bytes = {std::byte{0x00}, std::byte{0x9f}, std::byte{0xff}};
  EXPECT_EQ(ToHex(bytes), "009fff");
  Bytes back(3);
  ASSERT_TRUE(ParseHex("009fff", back).ok());
  EXPECT_EQ(back, bytes);
}

TEST(BytesTest, HexOfAnotherLengthOrCaseIsInvalid) {
  std::array<std::byte, 2> out;
  for (const char* text : {"", "abc", "abcdef", "ABCD", "ab g"})
    EXPECT_EQ(ParseHex(text, out).error().code, Code::kInvalid) << text;
}

TEST(BytesTest, IsZeroAgreesWithALoopWhereverTheOneByteLies) {
  for (const size_t size : {1U, 2U, 7U, 64U, 4096U}) {
    Bytes bytes(size);
    EXPECT_TRUE(IsZero(bytes));
    for (const size_t at : {size_t{0}, size / 2, size - 1}) {
      bytes[at] = std::byte{1};
      EXPECT_FALSE(IsZero(bytes)) << at << " of " << size;
      bytes[at] = std::byte{0};
    }
  }
  EXPECT_TRUE(IsZero({}));
}

TEST(BytesTest, IntegersAreLittleEndianAtAnyAlignment) {
  std::array<std::byte, 9> buffer{};
  StoreLe<uint64_t>(buffer.data() + 1, 0x0102030405060708);
  EXPECT_EQ(ToHex(buffer), "000807060504030201");
  EXPECT_EQ(LoadLe<uint64_t>(buffer.data() + 1), 0x0102030405060708U);
  EXPECT_EQ(LoadLe<uint16_t>(buffer.data() + 1), 0x0708U);
}

TEST(BytesTest, HumanSizeNeverShowsAThousandTwentyFourOfAUnit) {
  EXPECT_EQ(HumanSize(0), "0 B");
  EXPECT_EQ(HumanSize(1023), "1023 B");
  EXPECT_EQ(HumanSize(1024), "1.0 KiB");
  EXPECT_EQ(HumanSize(kMiB - 1), "1.0 MiB");
  EXPECT_EQ(HumanSize(14 * kMiB + 200 * kKiB), "14.2 MiB");
  EXPECT_EQ(HumanSize(uint64_t{4096} * 1024 * kGiB), "4096.0 TiB");
}

TEST(BytesTest, RoundingKeepsWhatIsAlreadyOnABorder) {
  EXPECT_EQ(RoundUp(0, 4096), 0U);
  EXPECT_EQ(RoundUp(1, 4096), 4096U);
  EXPECT_EQ(RoundUp(4096, 4096), 4096U);
  EXPECT_EQ(RoundDown(4095, 4096), 0U);
  EXPECT_EQ(RoundDown(4096, 4096), 4096U);
}

TEST(BytesTest, TextAndBytesAreTheSameMemory) {
  const std::string text = "caf\xc3\xa9";
  EXPECT_EQ(AsText(AsBytes(text)), text);
  EXPECT_EQ(AsBytes(text).size(), 5U);
  EXPECT_TRUE(std::ranges::equal(CopyBytes(AsBytes(text)), AsBytes(text)));
}

}  // namespace
}  // namespace morsel
