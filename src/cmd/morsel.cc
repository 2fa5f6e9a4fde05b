// SPDX-License-Identifier: Apache-2.0
// morsel: the tool. Parses the command line, runs the verb, prints its error.
#include <fcntl.h>
#include <unistd.h>

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

int Fail(const Error& error, const VerbSpec& verb) {
  PrintError(verb.name, error);
  return verb.name == "run" ? kRunFailed : ExitCodeOf(error.code);
}

// A standard stream that is closed is opened for the other direction: what is
// opened later does not come to stand in its place, and writes to it fail.
void OccupyStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0)
      ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int Main(const std::vector<std::string>& words) {
  OccupyStandardStreams();
  InitLog("morsel", LogLevel::kWarn);
  std::signal(SIGPIPE, SIG_IGN);
  // Keys and, in a convert, plaintext pass through this process.
  const Status no_core = RefuseCoreFiles();
  if (!no_core.ok()) LogWarn(no_core.error().message);
  const Result<ParsedLine> line = ParseCommandLine(words);
  if (!line.ok()) {
    PrintMessage(line.error().message);
    return !words.empty() && words[0] == "run" ? kRunFailed : kUsage;
  }
  if (line->verb == nullptr) {
    std::fputs(line->text.c_str(), stdout);
    if (std::fflush(stdout) != 0) return 1;
    return words.empty() ? kUsage : 0;
  }
  const Result<std::unique_ptr<Tool>> tool = Tool::Make(line->arguments);
  if (!tool.ok()) return Fail(tool.error(), *line->verb);
  const Result<int> code = line->verb->run(**tool, line->arguments);
  if (!code.ok()) return Fail(code.error(), *line->verb);
  const Status told = (*tool)->Flush();
  if (!told.ok()) return Fail(told.error(), *line->verb);
  return *code;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  return morsel::Main({argv + 1, argv + argc});
}
