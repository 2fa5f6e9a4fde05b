// SPDX-License-Identifier: Apache-2.0
// From argv to a verb and its arguments, by CLI11.
//
// Thread safety: free function.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/verb.h"

namespace morsel {

struct ParsedLine {
  const VerbSpec* verb = nullptr;  // null: nothing to run, print `text`
  Arguments arguments;
  std::string text;  // --help or --version
};

// `words` is argv without the program's name. kInvalid: a usage error (exit
// code 2) with a message for the user.
Result<ParsedLine> ParseCommandLine(const std::vector<std::string>& words);

}  // namespace morsel
