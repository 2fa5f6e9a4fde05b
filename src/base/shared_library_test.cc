// SPDX-License-Identifier: Apache-2.0
#include "base/shared_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace morsel {
namespace {

using ::testing::HasSubstr;

TEST(SharedLibraryTest, BindsFunctionsByTheirNames) {
  const auto library = SharedLibrary::Load("libm.so.6", "libc6");
  ASSERT_TRUE(library.ok());
  double (*cube_root)(double) = nullptr;
  ASSERT_TRUE(library->Bind("cbrt", cube_root).ok());
  EXPECT_DOUBLE_EQ(cube_root(27), 3);
}

TEST(SharedLibraryTest, NamesThePackageOfWhatIsMissing) {
  const auto library = SharedLibrary::Load("libnone.so.9", "libnone9");
  ASSERT_FALSE(library.ok());
  EXPECT_EQ(library.error().code, Code::kNotFound);
  EXPECT_THAT(library.error().message, HasSubstr("libnone.so.9"));
  EXPECT_THAT(library.error().message,
              HasSubstr("install the package libnone9"));
}

TEST(SharedLibraryTest, NamesTheFunctionThatIsMissing) {
  const auto library = SharedLibrary::Load("libm.so.6", "libc6");
  ASSERT_TRUE(library.ok());
  double (*none)(double) = nullptr;
  const Status status = library->Bind("morsel_none", none);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kNotFound);
  EXPECT_THAT(status.error().message, HasSubstr("morsel_none"));
  EXPECT_EQ(none, nullptr);
}

}  // namespace
}  // namespace morsel
