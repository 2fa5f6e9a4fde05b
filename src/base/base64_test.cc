// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <gtest/gtest.h>

namespace morsel {
namespace {

TEST(Base64Test, FitsTheExamplesOfTheStandard) {
  const std::pair<const char*, const char*> examples[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : examples) {
    EXPECT_EQ(ToBase64(AsBytes(plain)), coded);
    const Result<Bytes> back = FromBase64(coded);
    ASSERT_TRUE(back.ok()) << coded;
    EXPECT_EQ(AsText(*back), plain);
  }
}

TEST(Base64Test, CarriesEveryByte) {
  Bytes bytes;
  for (int i = 0; i < 300; ++i) {
    bytes.push_back(static_cast<std::byte>(i * 7));
    const Result<Bytes> back = FromBase64(ToBase64(bytes));
    ASSERT_TRUE(back.ok());
    EXPECT_TRUE(*back == bytes);
  }
}

TEST(Base64Test, RefusesWhatItWouldNotWrite) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "====",
                           "Zg==Zg==", "Z=g=", "Zm9v\n", "Zm-v"})
    EXPECT_FALSE(FromBase64(text).ok()) << text;
}

}  // namespace
}  // namespace morsel
