// SPDX-License-Identifier: Apache-2.0
// Running other programs, without a shell.
//
// Thread safety: the functions are thread-safe; a Child has one owner.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is searched in PATH
  // Added to (or replacing) the caller's environment, "NAME=value".
  std::vector<std::string> env;
  // Descriptors of the caller that the program gets, as {caller's, program's
  // number}. Standard input, output and error are inherited unless named; all
  // else is closed.
  std::vector<std::pair<int, int>> fds;
  // Puts it in a session of its own, away from the terminal's signals.
  bool new_session = false;
  // Ends it (SIGKILL) when the thread that started it ends.
  bool die_with_parent = false;
};

// A started program. The destructor neither waits nor kills.
struct Child {
  pid_t pid = -1;
  Fd pidfd;  // readable when it has ended
};

// kNotFound if there is no such program; else errors of fork and exec.
Result<Child> Spawn(const SpawnOptions& options);

// Waits for its end: the exit code, or 128 + the signal that ended it.
Result<int> WaitChild(const Child& child);

struct CommandOutput {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// Runs to the end with no input. kExhausted if either output passes 64 MiB.
Result<CommandOutput> RunCommand(const std::vector<std::string>& argv);
// The same, and kIo with the program's last line of complaint if it exits
// with anything but 0.
Result<std::string> RunChecked(const std::vector<std::string>& argv);

// When the process began, in clock ticks since boot (/proc/PID/stat): with the
// pid it names a process for good, as pids return. kNotFound if it is gone.
Result<uint64_t> ProcessStartTicks(pid_t pid);
// True if `pid` runs and began at `start_ticks`.
bool IsProcessAlive(pid_t pid, uint64_t start_ticks);

// The folder of the running program's own file, for finding its siblings.
Result<std::string> ProgramFolder();
// The file of a program: `name` itself if it has a slash, else where PATH or
// the folders of administrators have it. kNotFound.
Result<std::string> FindProgram(const std::string& name);
// The same for a program of Morsel's: beside the running one first.
Result<std::string> FindOwnProgram(const std::string& name);

}  // namespace morsel
