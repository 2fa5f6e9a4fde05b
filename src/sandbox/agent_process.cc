// SPDX-License-Identifier: Apache-2.0
#include "sandbox/agent_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/clock.h"
#include "base/json.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

constexpr size_t kMaxReadyLine = 64 * kKiB;
constexpr double kKillWaitSeconds = 10;
constexpr int kLookAgainMs = 10;
constexpr double kUpgradeSeconds = 60;

Result<std::string> FindAgent(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  return FindOwnProgram("morsel-agent");
}

// The lock that says that the device lives, for the agent to inherit.
Result<Fd> TakeLife(const DeviceFolder& folder) {
  ASSIGN_OR_RETURN(Fd life,
                   OpenFile(folder.life_path(), O_RDWR | O_CREAT, 0600));
  if (::flock(life.get(), LOCK_EX | LOCK_NB) != 0)
    return ErrnoError(errno, "lock " + folder.life_path());
  return life;
}

// What an agent says; an error is what it reports.
Result<Json> ParseAnswer(ByteSpan text) {
  ASSIGN_OR_RETURN_AS(Json json, Json::Parse(AsText(text)),
                      "morsel-agent's answer");
  if (const Json* error = json.Find("error"))
    return MakeError(CodeOfWord(error->StringOr("code", "")),
                     error->StringOr("message", "no reason given"));
  return json;
}

Result<int64_t> ParseReadyLine(const std::string& line) {
  ASSIGN_OR_RETURN(const Json json, ParseAnswer(AsBytes(line)));
  return json.GetInt("pid");
}

// Milliseconds for poll until `deadline`, at least 0.
int MillisecondsUntil(Deadline deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - SystemClock().Now());
  return static_cast<int>(std::clamp<int64_t>(left.count() + 1, 0, 1 << 30));
}

Deadline After(double seconds) {
  return SystemClock().Now() +
         std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// One request at the guard's control socket (frontend/control.h).
Result<ReceivedMessage> AskGuard(const DeviceFolder& folder,
                                 const Json& request, MutableByteSpan buffer,
                                 Deadline deadline) {
  ASSIGN_OR_RETURN(const Fd socket, ConnectToPath(folder.path() + "/control"));
  RETURN_IF_ERROR(
      SendMessage(socket.get(), AsBytes(request.Dump()), {}, deadline));
  return ReceiveMessage(socket.get(), buffer, deadline);
}

Error DiedError(const Child& process, const DeviceFolder& folder) {
  const Result<int> code = WaitChild(process);
  std::string message = "morsel-agent ended";
  if (code.ok()) message += " with " + std::to_string(*code);
  message += " before its device was usable";
  const std::string last = folder.LastLogLine();
  if (!last.empty()) message += "; its last words: " + last;
  return MakeError(Code::kUnavailable, message);
}

}  // namespace

Code CodeOfWord(std::string_view word) {
  for (const Code code : {Code::kInvalid, Code::kNotFound, Code::kExists,
                          Code::kCorrupt, Code::kUnavailable, Code::kTimeout,
                          Code::kExhausted, Code::kDenied, Code::kIo})
    if (CodeName(code) == word) return code;
  return Code::kInternal;
}

Result<StartingAgent> StartAgent(const AgentStart& start) {
  ASSIGN_OR_RETURN(const std::string program, FindAgent(start.program));
  const std::string setup_text = start.setup.ToJson().Dump();
  ASSIGN_OR_RETURN(const Fd setup,
                   MakeMemoryFile("morsel-setup", AsBytes(setup_text)));
  ASSIGN_OR_RETURN(const Fd key,
                   MakeMemoryFile("morsel-key", start.data_key.bytes()));
  ASSIGN_OR_RETURN(const Fd manifest,
                   MakeMemoryFile("morsel-manifest", start.manifest));
  ASSIGN_OR_RETURN(const Fd log, OpenFile(start.folder.log_path(),
                                          O_WRONLY | O_CREAT | O_APPEND, 0600));
  ASSIGN_OR_RETURN(const Fd nothing, OpenFile("/dev/null", O_RDONLY));
  ASSIGN_OR_RETURN(const Fd life, TakeLife(start.folder));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  StartingAgent agent{.process = {}, .ready = Fd(ends[0])};
  const Fd ready_write(ends[1]);
  SpawnOptions spawn;
  spawn.argv = {program};
  spawn.fds = {{nothing.get(), 0},
               {log.get(), 1},
               {log.get(), 2},
               {setup.get(), kAgentSetupFd},
               {key.get(), kAgentDataKeyFd},
               {manifest.get(), kAgentManifestFd},
               {ready_write.get(), kAgentReadyFd},
               {life.get(), kAgentLifeFd}};
  spawn.new_session = true;
  Fd overlay_key;
  if (start.overlay != nullptr) {
    ASSIGN_OR_RETURN(overlay_key, MakeMemoryFile("morsel-overlay-key",
                                                 start.overlay->key.bytes()));
    spawn.fds.emplace_back(overlay_key.get(), kAgentOverlayKeyFd);
    spawn.fds.emplace_back(start.overlay->lock.get(), kAgentOverlayLockFd);
  }
  ASSIGN_OR_RETURN(agent.process, Spawn(spawn));
  return agent;
}

Result<int64_t> AwaitReady(const StartingAgent& agent,
                           const DeviceFolder& folder, double timeout_seconds) {
  const Deadline deadline = After(timeout_seconds);
  std::string line;
  while (line.find('\n') == std::string::npos) {
    // The pidfd notices a death while a child of the agent's still has the
    // pipe open.
    std::array<pollfd, 2> polled = {
        pollfd{agent.ready.get(), POLLIN, 0},
        pollfd{agent.process.pidfd.get(), POLLIN, 0}};
    const int count =
        ::poll(polled.data(), polled.size(), MillisecondsUntil(deadline));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoError(errno, "wait for morsel-agent");
    if (count == 0)
      return MakeError(Code::kTimeout,
                       "morsel-agent was not ready after " +
                           std::to_string(static_cast<int>(timeout_seconds)) +
                           " s; its last words: " + folder.LastLogLine());
    if (polled[0].revents == 0) return DiedError(agent.process, folder);
    std::array<char, 4096> buffer;
    const ssize_t n = ::read(agent.ready.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "read from morsel-agent");
    if (n == 0) break;
    line.append(buffer.data(), static_cast<size_t>(n));
    if (line.size() > kMaxReadyLine)
      return MakeError(Code::kInternal, "morsel-agent's ready line has no end");
  }
  if (line.empty()) {
    ::kill(agent.process.pid, SIGKILL);
    return DiedError(agent.process, folder);
  }
  return ParseReadyLine(line.substr(0, line.find('\n')));
}

bool AwaitEnd(const ProcessMark& process, double timeout_seconds) {
  const auto pid = static_cast<pid_t>(process.pid);
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  // Looked at after the open: now the pid cannot come to mean another.
  if (!pidfd || !process.IsAlive()) {
    if (pid > 0) ::waitpid(pid, nullptr, WNOHANG);
    return true;
  }
  const Deadline deadline = After(timeout_seconds);
  while (true) {
    pollfd polled{pidfd.get(), POLLIN, 0};
    const int count = ::poll(&polled, 1, MillisecondsUntil(deadline));
    if (count < 0 && errno == EINTR) continue;
    // Reaps it if it was our own child.
    if (count > 0) ::waitpid(pid, nullptr, WNOHANG);
    return count > 0;
  }
}

Result<Json> UpgradeAgent(const DeviceFolder& folder,
                          const std::string& program) {
  Json request;
  ASSIGN_OR_RETURN(const std::string wanted, FindAgent(program));
  request["upgrade"] = wanted;
  Bytes buffer(64 * kKiB);
  Result<ReceivedMessage> message =
      AskGuard(folder, request, buffer, After(kUpgradeSeconds));
  if (!message.ok() && message.error().code == Code::kUnavailable)
    return MakeError(Code::kUnavailable,
                     wanted +
                         " cannot take over; the device goes on with "
                         "the agent that it had; see " +
                         folder.log_path());
  if (!message.ok()) return std::move(message).error();
  return ParseAnswer(ByteSpan(buffer).first(message->byte_count));
}

Result<Fd> ConnectToPrivateCache(const DeviceFolder& folder,
                                 Deadline deadline) {
  Json request;
  request["cache"] = true;
  Bytes buffer(64 * kKiB);
  ASSIGN_OR_RETURN_AS(ReceivedMessage message,
                      AskGuard(folder, request, buffer, deadline), "the guard");
  if (message.fds.size() == 1) return std::move(message.fds[0]);
  const Result<Json> answer =
      ParseAnswer(ByteSpan(buffer).first(message.byte_count));
  if (!answer.ok()) return answer.error();
  return MakeError(Code::kInternal, "the guard gave no connection");
}

ProcessMark CurrentGuard(const DeviceFolder& folder) {
  const Result<Json> agent = folder.Read("agent.json");
  if (agent.ok()) return ProcessMark::FromJson(*agent, "guard");
  const Result<Json> device = folder.Read("device.json");
  return device.ok() ? ProcessMark::FromJson(*device, "agent") : ProcessMark{};
}

bool AwaitAgentsEnd(const DeviceFolder& folder, double timeout_seconds) {
  const Deadline deadline = After(timeout_seconds);
  AwaitEnd(CurrentGuard(folder), timeout_seconds);
  // The others follow at once.
  while (folder.IsServed()) {
    if (SystemClock().Now() >= deadline) return false;
    ::poll(nullptr, 0, kLookAgainMs);
  }
  return true;
}

void KillAgent(const DeviceFolder& folder, const ProcessMark& first) {
  if (first.pid <= 0) return;
  // Its id stays the group's for as long as one of the group lives.
  if (folder.IsServed() || first.IsAlive()) {
    ::kill(static_cast<pid_t>(-first.pid), SIGKILL);
    if (first.IsAlive()) ::kill(static_cast<pid_t>(first.pid), SIGKILL);
  }
  AwaitEnd(first, kKillWaitSeconds);
  AwaitAgentsEnd(folder, kKillWaitSeconds);
}

}  // namespace morsel
