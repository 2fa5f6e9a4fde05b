// SPDX-License-Identifier: Apache-2.0
#include "chunk/name.h"

#include <gtest/gtest.h>

#include <unordered_set>

namespace morsel {
namespace {

constexpr std::string_view kAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(ChunkNameTest, ReadsWhatItPrints) {
  const Result<ChunkName> name = ChunkName::Parse(kAbc);
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->ToString(), kAbc);
  EXPECT_EQ(name->Short(), "ba7816bf8f01");
  EXPECT_TRUE(name->Matches(AsBytes("abc")));
  EXPECT_FALSE(name->Matches(AsBytes("abd")));
}

TEST(ChunkNameTest, RefusesAnythingElse) {
  std::string upper(kAbc);
  upper[0] = 'B';
  std::string other(kAbc);
  other[5] = 'g';
  for (const std::string& text : {std::string(), std::string(kAbc.substr(1)),
                                  std::string(kAbc) + "0", upper, other}) {
    const Result<ChunkName> name = ChunkName::Parse(text);
    ASSERT_FALSE(name.ok()) << text;
    EXPECT_EQ(name.error().code, Code::kInvalid);
  }
}

TEST(ChunkNameTest, IsAKeyOfSets) {
  std::unordered_set<ChunkName> names;
  names.insert(ChunkName(Sha256Of(AsBytes("a"))));
  names.insert(ChunkName(Sha256Of(AsBytes("a"))));
  names.insert(ChunkName(Sha256Of(AsBytes("b"))));
  EXPECT_EQ(names.size(), 2u);
}

}  // namespace
}  // namespace morsel
