// SPDX-License-Identifier: Apache-2.0
#include "cmd/documents.h"

#include <algorithm>

#include "base/config.h"

namespace morsel {
namespace {

constexpr std::string_view kVersion = MORSEL_VERSION;

// "[OPTIONS] SOURCE [NAME]"; all verbs take the common options.
std::string Synopsis(const VerbSpec& verb) {
  std::string text = "[OPTIONS]";
  for (const ArgumentSpec& argument : verb.arguments) {
    const std::string name =
        argument.rest ? "[--] " + argument.name + "..." : argument.name;
    text += argument.required ? " " + name : " [" + name + "]";
  }
  return text;
}

std::string OptionForm(const OptionSpec& option) {
  std::string text =
      option.letter != 0 ? std::string("-") + option.letter + ", " : "    ";
  text += "--" + option.name;
  if (!option.value_name.empty()) text += " " + option.value_name;
  return text;
}

constexpr size_t kHelpColumn = 28;

std::string Row(const std::string& left, const std::string& right) {
  std::string text = "  " + left;
  if (text.size() + 2 > kHelpColumn)
    text += "\n" + std::string(kHelpColumn, ' ');
  else
    text.resize(kHelpColumn, ' ');
  return text + right + "\n";
}

std::string OptionRows(const std::vector<OptionSpec>& options) {
  std::string text;
  for (const OptionSpec& option : options)
    text += Row(OptionForm(option),
                option.help + (option.repeated ? " (repeatable)" : ""));
  return text;
}

// man(7): a line must not begin with a control character, and a backslash or
// a hyphen is written as an escape.
std::string Troff(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    line_start = c == '\n';
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

std::string Paragraphs(std::string_view text) {
  std::string out = Troff(text);
  for (size_t at = out.find("\n\n"); at != std::string::npos;
       at = out.find("\n\n", at + 4))
    out.replace(at, 2, "\n.PP\n");
  return out + "\n";
}

std::string ManOptions(const std::vector<OptionSpec>& options) {
  std::string out;
  for (const OptionSpec& option : options) {
    out += ".TP\n.B ";
    if (option.letter != 0)
      out += Troff(std::string("-") + option.letter) + ", ";
    out += Troff("--" + option.name);
    if (!option.value_name.empty()) out += " \\fI" + option.value_name + "\\fR";
    out += "\n" + Troff(option.help) + (option.repeated ? " Repeatable." : "") +
           "\n";
  }
  return out;
}

std::string ManHead(std::string name, std::string_view summary) {
  std::string title = name;
  std::transform(title.begin(), title.end(), title.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return ".TH \"" + title + "\" 1 \"\" \"morsel " + std::string(kVersion) +
         "\" \"Morsel\"\n.SH NAME\n" + Troff(name) + " \\- " + Troff(summary) +
         "\n";
}

std::string ManExitCodes() {
  return ".SH EXIT STATUS\n"
         "0 done; 1 failed; 2 usage; 3 not found; 4 integrity failure; "
         "5 unavailable, no room, refused for load or timed out.\n"
         ".B morsel run\npasses on the exit status of the command; its own "
         "failures are 125, 126 (the command cannot be executed) and 127 (no "
         "such command).\n.B morsel record\nexits with 1 if the command "
         "fails.\n";
}

std::string ManSettings() {
  std::string out =
      ".SH SETTINGS\nRead from the command line, then the environment, then "
      "\\fI/etc/morsel/config.toml\\fR (or what \\fB\\-\\-config\\fR or "
      "MORSEL_CONFIG names), then the default. A setting "
      "\\fBoverlay.max_bytes\\fR is also the variable "
      "MORSEL_OVERLAY_MAX_BYTES.\n";
  for (const ConfigKey& key : Config::Keys()) {
    out += ".TP\n.B " + Troff(key.name) + "\n" + Troff(key.help) + ".";
    if (!key.default_value.empty())
      out += " Default: " + Troff(key.default_value) + ".";
    out += "\n";
  }
  return out;
}

}  // namespace

std::string VersionText() { return "morsel " + std::string(kVersion) + "\n"; }

std::string OverviewText() {
  std::string text =
      "morsel: containers that start before their images have arrived\n\n"
      "Usage: morsel VERB [OPTIONS] ARGUMENTS\n\nVerbs:\n";
  for (const VerbSpec& verb : Verbs()) text += Row(verb.name, verb.summary);
  return text + Row("help", "show this, or the help of a verb") +
         "\nOptions of every verb:\n" + OptionRows(CommonOptions());
}

std::string HelpOf(const VerbSpec& verb) {
  std::string text = "Usage: morsel " + verb.name + " " + Synopsis(verb) +
                     "\n\n" + verb.description + "\n";
  if (!verb.arguments.empty()) text += "\nArguments:\n";
  for (const ArgumentSpec& argument : verb.arguments)
    text += Row(argument.name, argument.help);
  if (!verb.options.empty()) text += "\nOptions:\n" + OptionRows(verb.options);
  text += "\nOptions of every verb:\n" + OptionRows(CommonOptions());
  if (!verb.examples.empty()) text += "\nExamples:\n";
  for (const auto& [command, what] : verb.examples)
    text += "  " + command + "\n      " + what + "\n";
  return text;
}

std::string ManOverview() {
  std::string out =
      ManHead("morsel",
              "containers that start before their images have "
              "arrived") +
      ".SH SYNOPSIS\n.B morsel\n\\fIVERB\\fR [OPTIONS] ARGUMENTS\n"
      ".SH DESCRIPTION\nMorsel turns an OCI image into encrypted, deduplicated "
      "chunks, and gives each container a block device that loads just the "
      "chunks that it reads.\n.SH VERBS\n";
  for (const VerbSpec& verb : Verbs())
    out += ".TP\n.BR morsel\\-" + verb.name + " (1)\n" + Troff(verb.summary) +
           "\n";
  return out + ".SH OPTIONS\n" + ManOptions(CommonOptions()) + ManSettings() +
         ManExitCodes();
}

std::string ManOf(const VerbSpec& verb) {
  std::string out = ManHead("morsel-" + verb.name, verb.summary) +
                    ".SH SYNOPSIS\n.B morsel " + verb.name + "\n" +
                    Troff(Synopsis(verb)) + "\n.SH DESCRIPTION\n" +
                    Paragraphs(verb.description);
  if (!verb.arguments.empty()) out += ".SH ARGUMENTS\n";
  for (const ArgumentSpec& argument : verb.arguments)
    out += ".TP\n.I " + argument.name + "\n" + Troff(argument.help) + "\n";
  out += ".SH OPTIONS\n" + ManOptions(verb.options) +
         ManOptions(CommonOptions()) + ManExitCodes();
  if (!verb.examples.empty()) out += ".SH EXAMPLES\n";
  for (const auto& [command, what] : verb.examples)
    out += ".TP\n.B " + Troff(command) + "\n" + Troff(what) + "\n";
  return out + ".SH SEE ALSO\n.BR morsel (1)\n";
}

namespace {

std::string OptionWords(const VerbSpec& verb) {
  std::string words;
  for (const auto* table : {&verb.options, &CommonOptions()})
    for (const OptionSpec& option : *table) words += " --" + option.name;
  return words.substr(1);
}

std::string ArgumentCase(const VerbSpec& verb) {
  if (verb.arguments.empty()) return "";
  const std::string& kind = verb.arguments[0].complete;
  if (kind == "image") return "$(morsel images -q 2>/dev/null)";
  if (kind == "device") return "$(morsel attach --list -q 2>/dev/null)";
  return "";
}

}  // namespace

std::string BashCompletion() {
  std::string verbs;
  std::string cases;
  for (const VerbSpec& verb : Verbs()) {
    verbs += " " + verb.name;
    cases += "    " + verb.name + ") options='" + OptionWords(verb) + "'\n";
    const std::string words = ArgumentCase(verb);
    if (!words.empty()) cases += "      words=\"" + words + "\"\n";
    cases += "      ;;\n";
  }
  return "# Completion of morsel(1), made by `morsel completion bash`.\n"
         "_morsel() {\n"
         "  local word=\"${COMP_WORDS[COMP_CWORD]}\" options='' words=''\n"
         "  COMPREPLY=()\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    mapfile -t COMPREPLY < <(compgen -W 'help" +
         verbs +
         "' -- \"$word\")\n    return\n  fi\n"
         "  case \"${COMP_WORDS[1]}\" in\n" +
         cases +
         "  esac\n"
         "  if [[ \"$word\" == -* ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
         "  elif [[ -n \"$words\" ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
         "  else\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _morsel morsel\n";
}

}  // namespace morsel
