// SPDX-License-Identifier: Apache-2.0
// The definition of a verb of `morsel`: what it is called, what it takes, and
// what it does. The parser, --help, the man pages and the shell completion are
// all made from these tables, so that they cannot disagree.
//
// Thread safety: tables are immutable; the rest is owned by main.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace morsel {

class Tool;

struct OptionSpec {
  std::string name;        // "stats-file": --stats-file
  char letter = 0;         // -q; 0: none
  std::string value_name;  // "FILE"; empty: a switch
  std::string help;
  bool repeated = false;  // may be given several times
};

struct ArgumentSpec {
  std::string name;  // "NAME"
  std::string help;
  bool required = true;
  bool rest = false;     // all that follows, options too: a command line
  std::string complete;  // "image", "device", "file" or "": for the shell
};

// What the user gave. Look-ups of names that the verb does not define are
// programmer's errors.
class Arguments {
 public:
  bool Has(std::string_view name) const;
  // The value, or "" if it was not given.
  std::string Get(std::string_view name) const;
  std::vector<std::string> List(std::string_view name) const;

  void Add(std::string_view name, std::string value);

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

struct VerbSpec {
  std::string name;
  std::string summary;      // one line
  std::string description;  // paragraphs, split by blank lines
  std::vector<ArgumentSpec> arguments;
  std::vector<OptionSpec> options;
  std::vector<std::pair<std::string, std::string>> examples;  // command, what
  // The exit code, or the error that main prints and maps.
  Result<int> (*run)(Tool& tool, const Arguments& arguments);
};

// Options that every verb has.
const std::vector<OptionSpec>& CommonOptions();
// Every verb, in the order of the manual.
const std::vector<VerbSpec>& Verbs();

}  // namespace morsel
