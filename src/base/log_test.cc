// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gmock/gmock.h>

namespace morsel {
namespace {

using ::testing::MatchesRegex;

std::string Logged(LogLevel level, std::string_view event, LogFields fields) {
  ::testing::internal::CaptureStderr();
  Log(level, event, fields);
  return ::testing::internal::GetCapturedStderr();
}

TEST(LogTest, OneLineWithTimeLevelProgramAndFields) {
  InitLog("tester", LogLevel::kInfo);
  EXPECT_THAT(
      Logged(LogLevel::kInfo, "cache grew", {{"bytes", 4096}, {"to", "x"}}),
      MatchesRegex("....-..-..T..:..:..Z info tester cache grew "
                   "bytes=4096 to=x\n"));
}

TEST(LogTest, WhatLiesBelowTheLowestLevelIsNotPrinted) {
  InitLog("tester", LogLevel::kWarn);
  EXPECT_EQ(Logged(LogLevel::kInfo, "quiet", {}), "");
  EXPECT_NE(Logged(LogLevel::kWarn, "loud", {}), "");
}

TEST(LogTest, AForeignNameCannotForgeALine) {
  InitLog("tester", LogLevel::kInfo);
  const std::string line = Logged(LogLevel::kError, "bad name",
                                  {{"path", "a \"b\"\n1970 error \\"}});
  EXPECT_THAT(line, ::testing::EndsWith(R"(path="a \"b\"\x0a1970 error \\")"
                                        "\n"));
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_THAT(Logged(LogLevel::kError, "e", {{"k", ""}}),
              ::testing::EndsWith("k=\"\"\n"));
}

TEST(LogTest, ALongProgramNameIsCutShort) {
  InitLog(std::string(100, 'p'), LogLevel::kInfo);
  EXPECT_THAT(Logged(LogLevel::kInfo, "e", {}),
              ::testing::HasSubstr(" " + std::string(31, 'p') + " e"));
  InitLog("", LogLevel::kWarn);
}

}  // namespace
}  // namespace morsel
