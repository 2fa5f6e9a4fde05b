// SPDX-License-Identifier: Apache-2.0
#include "cmd/command_line.h"

#include <gtest/gtest.h>

namespace morsel {
namespace {

using Words = std::vector<std::string>;

ParsedLine Parsed(const Words& words) {
  Result<ParsedLine> line = ParseCommandLine(words);
  EXPECT_TRUE(line.ok()) << line.error().message;
  return line.ok() ? std::move(line).value() : ParsedLine();
}

void ExpectUsageError(const Words& words, const std::string& part) {
  const Result<ParsedLine> line = ParseCommandLine(words);
  ASSERT_FALSE(line.ok());
  EXPECT_EQ(line.error().code, Code::kInvalid);
  EXPECT_NE(line.error().message.find(part), std::string::npos)
      << line.error().message;
}

TEST(CommandLine, TakesOptionsBeforeAndAfterArguments) {
  const ParsedLine line =
      Parsed({"convert", "--json", "oci:dir", "app:1", "--origin=/o"});
  EXPECT_EQ(line.verb->name, "convert");
  EXPECT_EQ(line.arguments.Get("SOURCE"), "oci:dir");
  EXPECT_EQ(line.arguments.Get("NAME"), "app:1");
  EXPECT_EQ(line.arguments.Get("origin"), "/o");
  EXPECT_TRUE(line.arguments.Has("json"));
  EXPECT_FALSE(line.arguments.Has("quiet"));
}

TEST(CommandLine, LeavesOutAnOptionalArgument) {
  const ParsedLine line = Parsed({"convert", "oci:dir"});
  EXPECT_FALSE(line.arguments.Has("NAME"));
}

TEST(CommandLine, GivesEverythingAfterTheImageToTheCommand) {
  const ParsedLine line = Parsed({"run", "-it", "-e", "A=1", "--env=B=2", "app",
                                  "ls", "-l", "--json", "--help"});
  EXPECT_EQ(line.arguments.Get("NAME"), "app");
  EXPECT_EQ(line.arguments.List("COMMAND"),
            (Words{"ls", "-l", "--json", "--help"}));
  EXPECT_EQ(line.arguments.List("env"), (Words{"A=1", "B=2"}));
  EXPECT_TRUE(line.arguments.Has("interactive"));
  EXPECT_TRUE(line.arguments.Has("tty"));
  EXPECT_FALSE(line.arguments.Has("json"));
}

TEST(CommandLine, DropsTheDashesBeforeTheCommandOnly) {
  const ParsedLine line = Parsed({"run", "app", "--", "echo", "--", "x"});
  EXPECT_EQ(line.arguments.List("COMMAND"), (Words{"echo", "--", "x"}));
}

TEST(CommandLine, TakesTheLastOfAnOptionThatIsGivenTwice) {
  const ParsedLine line = Parsed({"images", "--origin", "a", "--origin", "b"});
  EXPECT_EQ(line.arguments.Get("origin"), "b");
}

TEST(CommandLine, AnswersHelpForEveryVerb) {
  for (const VerbSpec& verb : Verbs()) {
    for (const Words& words :
         {Words{"help", verb.name}, Words{verb.name, "--help"}}) {
      const ParsedLine line = Parsed(words);
      EXPECT_EQ(line.verb, nullptr);
      EXPECT_NE(line.text.find("Usage: morsel " + verb.name),
                std::string::npos);
    }
  }
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  ExpectUsageError({"frobnicate"}, "no verb 'frobnicate'");
  ExpectUsageError({"images", "--frob"}, "--frob");
  ExpectUsageError({"inspect"}, "NAME");
  ExpectUsageError({"inspect", "a", "b"}, "b");
  ExpectUsageError({"run"}, "NAME");
  ExpectUsageError({"images", "--origin"}, "--origin");
}

}  // namespace
}  // namespace morsel
