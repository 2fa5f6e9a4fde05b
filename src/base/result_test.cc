// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <memory>

namespace morsel {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return MakeError(Code::kInvalid, "odd");
  return value / 2;
}

Result<int> Quarter(int value) {
  ASSIGN_OR_RETURN_AS(const int half, Half(value), "first half");
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return quarter;
}

Status CheckEven(int value) {
  RETURN_IF_ERROR_AS(Half(value), "check");
  return Ok();
}

TEST(ResultTest, MacrosPassTheValueOrTheErrorWithItsContext) {
  EXPECT_EQ(Quarter(12).value(), 3);
  EXPECT_EQ(Quarter(3).error().message, "first half: odd");
  EXPECT_EQ(Quarter(6).error().message, "odd");
  EXPECT_EQ(Quarter(6).error().code, Code::kInvalid);
  EXPECT_TRUE(CheckEven(2).ok());
  EXPECT_EQ(CheckEven(1).error().message, "check: odd");
}

TEST(ResultTest, AValueThatOnlyMovesCanBeTaken) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 7);
}

TEST(ResultDeathTest, TakingWhatIsNotThereAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)Half(1).value(), "check failed");
  EXPECT_DEATH((void)Half(2).error(), "check failed");
  EXPECT_DEATH((void)Ok().error(), "check failed");
}

TEST(ResultTest, ErrnoBecomesTheCodeThatSaysWhatToDo) {
  const std::pair<int, Code> cases[] = {
      {ENOENT, Code::kNotFound},   {ESRCH, Code::kNotFound},
      {EEXIST, Code::kExists},     {EACCES, Code::kDenied},
      {ENOSPC, Code::kExhausted},  {EDQUOT, Code::kExhausted},
      {EINVAL, Code::kInvalid},    {ECONNREFUSED, Code::kUnavailable},
      {ETIMEDOUT, Code::kTimeout}, {EIO, Code::kIo},
  };
  for (const auto& [value, code] : cases)
    EXPECT_EQ(ErrnoError(value, "call").code, code) << value;
  EXPECT_EQ(ErrnoError(ENOENT, "open /x").message,
            "open /x: No such file or directory");
}

TEST(ResultTest, TheKernelGetsEioForWhatItHasNoWordFor) {
  EXPECT_EQ(CodeToErrno(Code::kExhausted), ENOSPC);
  EXPECT_EQ(CodeToErrno(Code::kNotFound), ENOENT);
  EXPECT_EQ(CodeToErrno(Code::kInvalid), EINVAL);
  for (const Code code : {Code::kCorrupt, Code::kUnavailable, Code::kTimeout,
                          Code::kIo, Code::kInternal})
    EXPECT_EQ(CodeToErrno(code), EIO);
}

TEST(ResultTest, EveryCodeHasItsWord) {
  EXPECT_EQ(CodeName(Code::kNotFound), "not found");
  EXPECT_EQ(CodeName(Code::kCorrupt), "corrupt");
  EXPECT_EQ(CodeName(Code::kInternal), "internal");
}

}  // namespace
}  // namespace morsel
