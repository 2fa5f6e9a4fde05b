// SPDX-License-Identifier: Apache-2.0
// morsel: the tool. Parses the command line, runs the verb, prints its error.
#include <csignal>
#include <cstdio>

#include "base/confine.h"
#include "base/log.h"
#include "cmd/command_line.h"
#include "cmd/tool.h"

namespace morsel {
namespace {

constexpr int kUsage = 2;
// The tool's own failures under `run`, as with docker and podman.
constexpr int kRunFailed = 125;

// Messages repeat what images and servers say: nothing of it may steer the
// terminal, or look like a line of its own.
std::string Printable(std::string_view message) {
  std::string text;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    char escaped[8];
    std::snprintf(escaped, sizeof(escaped), "\\x%02x", unsigned{byte});
    text += byte < 0x20 || byte == 0x7f ? escaped : std::string(1, c);
  }
  return text;
}

int Fail(const Error& error, const VerbSpec& verb) {
  const std::string kind(CodeName(error.code));
  std::fprintf(stderr, "morsel: %s: %s (%s)\n", verb.name.c_str(),
               Printable(error.message).c_str(), kind.c_str());
  return verb.name == "run" ? kRunFailed : ExitCodeOf(error.code);
}

int Main(const std::vector<std::string>& words) {
  InitLog("morsel", LogLevel::kWarn);
  std::signal(SIGPIPE, SIG_IGN);
  // Keys and, in a convert, plaintext pass through this process.
  const Status no_core = RefuseCoreFiles();
  if (!no_core.ok()) LogWarn(no_core.error().message);
  const Result<ParsedLine> line = ParseCommandLine(words);
  if (!line.ok()) {
    std::fprintf(stderr, "morsel: %s\n", line.error().message.c_str());
    return !words.empty() && words[0] == "run" ? kRunFailed : kUsage;
  }
  if (line->verb == nullptr) {
    std::fputs(line->text.c_str(), stdout);
    return words.empty() ? kUsage : 0;
  }
  const Result<std::unique_ptr<Tool>> tool = Tool::Make(line->arguments);
  if (!tool.ok()) return Fail(tool.error(), *line->verb);
  const Result<int> code = line->verb->run(**tool, line->arguments);
  if (!code.ok()) return Fail(code.error(), *line->verb);
  if (std::fflush(stdout) != 0) return 1;
  return *code;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  return morsel::Main({argv + 1, argv + argc});
}
