// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <filesystem>

namespace morsel {
namespace {

constexpr uint64_t kMaxOutputBytes = 64 * kMiB;

std::vector<char*> PointersTo(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> MergedEnvironment(
    const std::vector<std::string>& extra) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('=') + 1);
    const bool replaced =
        std::any_of(extra.begin(), extra.end(), [&](const std::string& e) {
          return e.compare(0, name.size(), name) == 0;
        });
    if (!replaced) merged.push_back(text);
  }
  merged.insert(merged.end(), extra.begin(), extra.end());
  return merged;
}

// What runs between fork and exec: only async-signal-safe calls.
struct ExecPlan {
  const char* file;
  char* const* argv;
  char* const* envp;
  std::vector<std::pair<int, int>> fds;  // source, target
  std::vector<int> sources;              // room for moved sources
  bool new_session;
  bool die_with_parent;
  pid_t parent;
  int error_pipe;
};

[[noreturn]] void FailInChild(const ExecPlan& plan) {
  const int reason = errno;
  [[maybe_unused]] const ssize_t n =
      ::write(plan.error_pipe, &reason, sizeof(reason));
  ::_exit(127);
}

[[noreturn]] void ExecInChild(ExecPlan& plan) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (plan.new_session) ::setsid();
  if (plan.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != plan.parent) ::_exit(127);
  }
  int lowest = 3;
  for (const auto& [source, target] : plan.fds)
    lowest = std::max(lowest, target + 1);
  plan.error_pipe = ::fcntl(plan.error_pipe, F_DUPFD_CLOEXEC, lowest);
  // Two steps, so that no target overwrites a source still to come.
  for (size_t i = 0; i < plan.fds.size(); ++i) {
    plan.sources[i] = ::fcntl(plan.fds[i].first, F_DUPFD_CLOEXEC, lowest);
    if (plan.sources[i] < 0) FailInChild(plan);
  }
  // 4 = CLOSE_RANGE_CLOEXEC: whatever else is open ends with the exec; dup2
  // makes the targets, and them alone, survive it.
  ::syscall(SYS_close_range, 3U, UINT_MAX, 4U);
  for (size_t i = 0; i < plan.fds.size(); ++i)
    if (::dup2(plan.sources[i], plan.fds[i].second) < 0) FailInChild(plan);
  ::execve(plan.file, plan.argv, plan.envp);
  FailInChild(plan);
}

// What the child wrote to the pipe: an errno, or nothing when exec worked.
int ReadExecError(int pipe_fd) {
  int reason = 0;
  const auto out = std::as_writable_bytes(std::span(&reason, 1));
  const Result<size_t> n = ReadUpTo(pipe_fd, out);
  return n.ok() && *n == sizeof(reason) ? reason : 0;
}

}  // namespace

Result<Child> Spawn(const SpawnOptions& options) {
  CHECK(!options.argv.empty());
  // Before the fork: execvpe allocates, which a child of a threaded process
  // must not.
  ASSIGN_OR_RETURN(const std::string file, FindProgram(options.argv[0]));
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> env = MergedEnvironment(options.env);
  const std::vector<char*> argv_pointers = PointersTo(argv);
  const std::vector<char*> env_pointers = PointersTo(env);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  ExecPlan plan{.file = file.c_str(),
                .argv = argv_pointers.data(),
                .envp = env_pointers.data(),
                .fds = options.fds,
                .sources = std::vector<int>(options.fds.size()),
                .new_session = options.new_session,
                .die_with_parent = options.die_with_parent,
                .parent = ::getpid(),
                .error_pipe = write_end.get()};
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoError(errno, "fork");
  if (pid == 0) ExecInChild(plan);
  Child child;
  child.pid = pid;
  child.pidfd = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  write_end.Close();
  if (const int reason = ReadExecError(read_end.get()); reason != 0) {
    ::waitpid(pid, nullptr, 0);
    return ErrnoError(reason, "execute " + file);
  }
  return child;
}

Result<int> WaitChild(const Child& child) {
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0)
    if (errno != EINTR) return ErrnoError(errno, "wait for a child");
  if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
  return WEXITSTATUS(status);
}

namespace {

// Drains one pipe into `text`; closes `fd` at its end.
Status Drain(Fd& fd, std::string& text) {
  std::array<char, 16384> buffer;
  const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
  if (n < 0 && errno == EINTR) return Ok();
  if (n < 0) return ErrnoError(errno, "read a program's output");
  if (n == 0) fd.Close();
  text.append(buffer.data(), static_cast<size_t>(n));
  if (text.size() > kMaxOutputBytes)
    return MakeError(Code::kExhausted, "a program prints without end");
  return Ok();
}

Status DrainBoth(Fd& out, Fd& err, CommandOutput& output) {
  while (out || err) {
    std::array<pollfd, 2> polled = {pollfd{out.get(), POLLIN, 0},
                                    pollfd{err.get(), POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, "poll");
    }
    if (polled[0].revents != 0) RETURN_IF_ERROR(Drain(out, output.out));
    if (polled[1].revents != 0) RETURN_IF_ERROR(Drain(err, output.err));
  }
  return Ok();
}

}  // namespace

Result<CommandOutput> RunCommand(const std::vector<std::string>& argv) {
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  Fd out_read(out[0]);
  Fd out_write(out[1]);
  if (::pipe2(err.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  Fd err_read(err[0]);
  Fd err_write(err[1]);
  ASSIGN_OR_RETURN(Fd nothing, OpenFile("/dev/null", O_RDONLY));
  ASSIGN_OR_RETURN(const Child child, Spawn({.argv = argv,
                                             .env = {},
                                             .fds = {{nothing.get(), 0},
                                                     {out_write.get(), 1},
                                                     {err_write.get(), 2}}}));
  out_write.Close();
  err_write.Close();
  CommandOutput output;
  const Status drained = DrainBoth(out_read, err_read, output);
  if (!drained.ok()) ::kill(child.pid, SIGKILL);
  ASSIGN_OR_RETURN(output.exit_code, WaitChild(child));
  if (!drained.ok()) return drained.error();
  return output;
}

Result<std::string> RunChecked(const std::vector<std::string>& argv) {
  ASSIGN_OR_RETURN(CommandOutput output, RunCommand(argv));
  if (output.exit_code == 0) return std::move(output.out);
  std::string& err = output.err;
  while (!err.empty() && err.back() == '\n') err.pop_back();
  const size_t line = err.rfind('\n');
  const std::string last =
      line == std::string::npos ? err : err.substr(line + 1);
  return MakeError(Code::kIo, argv[0] + " exited with " +
                                  std::to_string(output.exit_code) +
                                  (last.empty() ? "" : ": " + last));
}

Result<uint64_t> ProcessStartTicks(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  ASSIGN_OR_RETURN(const Bytes bytes, ReadWholeFile(path, 64 * kKiB));
  // Field 22; the second field, the name in brackets, may hold anything.
  const std::string text(AsText(bytes));
  size_t at = text.rfind(')');
  if (at == std::string::npos || text.size() < at + 4 || text[at + 2] == 'Z')
    return MakeError(Code::kNotFound,
                     "process " + std::to_string(pid) + " has ended");
  for (int field = 2; field < 22 && at != std::string::npos; ++field)
    at = text.find(' ', at + 1);
  if (at == std::string::npos)
    return MakeError(Code::kInternal, path + ": unexpected form");
  return std::strtoull(text.c_str() + at, nullptr, 10);
}

bool IsProcessAlive(pid_t pid, uint64_t start_ticks) {
  const Result<uint64_t> ticks = ProcessStartTicks(pid);
  return ticks.ok() && *ticks == start_ticks;
}

Result<std::string> FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = ::getenv("PATH");
  std::string rest = path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path;
  rest += ":/usr/sbin:/sbin";  // runc and losetup, for plain users' PATHs
  for (size_t begin = 0; begin < rest.size();) {
    size_t end = rest.find(':', begin);
    if (end == std::string::npos) end = rest.size();
    const std::string candidate = rest.substr(begin, end - begin) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return MakeError(Code::kNotFound, "no program " + name +
                                        " in PATH; is its package installed?");
}

Result<std::string> ProgramFolder() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error)
    return MakeError(Code::kIo, "read /proc/self/exe: " + error.message());
  return self.parent_path().string();
}

Result<std::string> FindOwnProgram(const std::string& name) {
  const Result<std::string> folder = ProgramFolder();
  if (folder.ok()) {
    const std::string beside = *folder + "/" + name;
    if (::access(beside.c_str(), X_OK) == 0) return beside;
  }
  return FindProgram(name);
}

}  // namespace morsel
