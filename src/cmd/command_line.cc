// SPDX-License-Identifier: Apache-2.0
#include "cmd/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "cmd/documents.h"

namespace morsel {
namespace {

// Where CLI11 puts what it finds, until it becomes Arguments.
struct Slots {
  std::map<std::string, std::vector<std::string>> values;
  // Arguments take one word each: CLI11 gives a list all that is left.
  std::map<std::string, std::optional<std::string>> words;
  std::map<std::string, bool> switches;
};

std::string FlagText(const OptionSpec& option) {
  std::string text = "--" + option.name;
  if (option.letter != 0) text = std::string("-") + option.letter + "," + text;
  return text;
}

void DefineOption(CLI::App& app, const OptionSpec& option, Slots& slots) {
  if (option.value_name.empty()) {
    app.add_flag(FlagText(option), slots.switches[option.name], option.help);
    return;
  }
  CLI::Option* made =
      app.add_option(FlagText(option), slots.values[option.name], option.help);
  made->type_name(option.value_name)->allow_extra_args(false);
  if (!option.repeated)
    made->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void DefineArgument(CLI::App& app, const ArgumentSpec& argument, Slots& slots) {
  CLI::Option* made =
      app.add_option(argument.name, slots.words[argument.name], argument.help);
  if (argument.required) made->required();
}

const OptionSpec* FindOption(const VerbSpec& verb, std::string_view name,
                             char letter) {
  const auto matches = [&](const OptionSpec& option) {
    return letter != 0 ? option.letter == letter : option.name == name;
  };
  for (const auto* table : {&verb.options, &CommonOptions()}) {
    const auto it = std::find_if(table->begin(), table->end(), matches);
    if (it != table->end()) return &*it;
  }
  return nullptr;
}

// True if the word is an option whose value is the next word.
bool TakesNextWord(const VerbSpec& verb, const std::string& word) {
  const bool is_long = word.compare(0, 2, "--") == 0;
  if (is_long && word.find('=') != std::string::npos) return false;
  const OptionSpec* option = is_long ? FindOption(verb, word.substr(2), 0)
                                     : FindOption(verb, "", word.back());
  return option != nullptr && !option->value_name.empty();
}

// For a verb that ends in a command line: the position of the first word that
// belongs to it. Everything after the other arguments is the command's, options
// too, as with docker and podman.
size_t FindRest(const VerbSpec& verb, const std::vector<std::string>& words) {
  size_t arguments_left = verb.arguments.size() - 1;
  size_t i = 0;
  while (i < words.size() && arguments_left > 0) {
    const std::string& word = words[i];
    if (word.size() > 1 && word[0] == '-' && word != "--") {
      i += TakesNextWord(verb, word) ? 2 : 1;
      continue;
    }
    if (word != "--") --arguments_left;
    ++i;
  }
  return std::min(i, words.size());
}

void TakeRest(const VerbSpec& verb, std::vector<std::string>& words,
              Arguments& arguments) {
  if (verb.arguments.empty() || !verb.arguments.back().rest) return;
  const size_t at = FindRest(verb, words);
  size_t first = at;
  if (first < words.size() && words[first] == "--") ++first;
  for (size_t i = first; i < words.size(); ++i)
    arguments.Add(verb.arguments.back().name, words[i]);
  words.resize(at);
}

Result<ParsedLine> ParseVerb(const VerbSpec& verb,
                             std::vector<std::string> words) {
  ParsedLine line;
  line.verb = &verb;
  TakeRest(verb, words, line.arguments);
  Slots slots;
  CLI::App app;
  app.set_help_flag();
  for (const OptionSpec& option : CommonOptions())
    DefineOption(app, option, slots);
  for (const OptionSpec& option : verb.options)
    DefineOption(app, option, slots);
  for (const ArgumentSpec& argument : verb.arguments)
    if (!argument.rest) DefineArgument(app, argument, slots);
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return MakeError(
        Code::kInvalid,
        std::string(error.what()) + "; see 'morsel help " + verb.name + "'");
  }
  for (const auto& [name, values] : slots.values)
    for (const std::string& value : values) line.arguments.Add(name, value);
  for (const auto& [name, word] : slots.words)
    if (word) line.arguments.Add(name, *word);
  for (const auto& [name, on] : slots.switches)
    if (on) line.arguments.Add(name, "1");
  return line;
}

const VerbSpec* FindVerb(std::string_view name) {
  for (const VerbSpec& verb : Verbs())
    if (verb.name == name) return &verb;
  return nullptr;
}

Error UnknownVerb(const std::string& name) {
  return MakeError(Code::kInvalid,
                   "there is no verb '" + name + "'; see 'morsel help'");
}

// `help`, `help VERB`, `VERB --help`, `--version`; or nothing of these.
Result<std::optional<std::string>> HelpText(
    const std::vector<std::string>& words) {
  if (words.empty()) return std::optional(OverviewText());
  if (words[0] == "--version") return std::optional(VersionText());
  if (words[0] == "help" || words[0] == "--help" || words[0] == "-h") {
    if (words.size() == 1) return std::optional(OverviewText());
    const VerbSpec* verb = FindVerb(words[1]);
    if (verb == nullptr) return UnknownVerb(words[1]);
    return std::optional(HelpOf(*verb));
  }
  return std::optional<std::string>();
}

}  // namespace

Result<ParsedLine> ParseCommandLine(const std::vector<std::string>& words) {
  ASSIGN_OR_RETURN(const std::optional<std::string> help, HelpText(words));
  if (help) {
    ParsedLine line;
    line.text = *help;
    return line;
  }
  const VerbSpec* verb = FindVerb(words[0]);
  if (verb == nullptr) return UnknownVerb(words[0]);
  std::vector<std::string> rest(words.begin() + 1, words.end());
  const size_t own = !verb->arguments.empty() && verb->arguments.back().rest
                         ? FindRest(*verb, rest)
                         : rest.size();
  for (size_t i = 0; i < own; ++i) {
    if (rest[i] != "--help") continue;
    ParsedLine line;
    line.text = HelpOf(*verb);
    return line;
  }
  return ParseVerb(*verb, std::move(rest));
}

}  // namespace morsel
