// SPDX-License-Identifier: Apache-2.0
#include "cmd/documents.h"

#include <gtest/gtest.h>

#include <set>

namespace morsel {
namespace {

TEST(Documents, EveryVerbAndOptionIsInTheManual) {
  const std::string overview = ManOverview();
  for (const VerbSpec& verb : Verbs()) {
    EXPECT_NE(overview.find("morsel\\-" + verb.name), std::string::npos);
    const std::string page = ManOf(verb);
    EXPECT_EQ(page.compare(0, 3, ".TH"), 0);
    for (const OptionSpec& option : verb.options) {
      std::string name = "\\-\\-";
      for (const char c : option.name)
        name += c == '-' ? std::string("\\-") : std::string(1, c);
      EXPECT_NE(page.find(name), std::string::npos) << option.name;
    }
  }
}

TEST(Documents, NoVerbDefinesAnOptionTwice) {
  for (const VerbSpec& verb : Verbs()) {
    std::set<std::string> names;
    std::set<char> letters;
    for (const auto* table : {&verb.options, &CommonOptions()}) {
      for (const OptionSpec& option : *table) {
        EXPECT_TRUE(names.insert(option.name).second)
            << verb.name << " --" << option.name;
        if (option.letter == 0) continue;
        EXPECT_TRUE(letters.insert(option.letter).second)
            << verb.name << " -" << option.letter;
      }
    }
  }
}

TEST(Documents, TheCompletionKnowsEveryVerb) {
  const std::string script = BashCompletion();
  for (const VerbSpec& verb : Verbs())
    EXPECT_NE(script.find("    " + verb.name + ") "), std::string::npos);
}

}  // namespace
}  // namespace morsel
