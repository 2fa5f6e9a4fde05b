// SPDX-License-Identifier: Apache-2.0
#include "base/printable.h"

#include <gtest/gtest.h>

namespace morsel {
namespace {

TEST(PrintableTest, KeepsTextAndEscapesWhatSteersATerminal) {
  EXPECT_EQ(Printable("gr\xc3\xbc\xc3\x9f, caf\xc3\xa9"),
            "gr\xc3\xbc\xc3\x9f, caf\xc3\xa9");
  EXPECT_EQ(Printable("a\n\x1b[31mb\x7f"), "a\\x0a\\x1b[31mb\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J\xc2\xa0"),
            "\\xc2\\x9b2J\xc2\xa0");
  EXPECT_EQ(Printable("\xc2"), "\xc2");
}

TEST(PrintableTest, AsciiIsShortAndShowsEachByte) {
  EXPECT_EQ(PrintableAscii("a\nb\xff", 200), "a\\x0ab\\xff");
  EXPECT_EQ(PrintableAscii(std::string(300, 'x'), 200).size(), 203u);
}

}  // namespace
}  // namespace morsel
