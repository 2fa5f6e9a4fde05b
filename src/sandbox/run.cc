// SPDX-License-Identifier: Apache-2.0
#include "sandbox/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/process.h"
#include "block/device_stats.h"
#include "sandbox/bundle.h"
#include "sandbox/command_file.h"
#include "sandbox/container_folder.h"
#include "sandbox/container_view.h"
#include "sandbox/device_folder.h"
#include "sandbox/loop.h"
#include "sandbox/mount.h"
#include "sandbox/private_mounts.h"
#include "sandbox/rootfs.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxLogBytes = 16 * kMiB;

// Milliseconds since it was made or last asked.
class StopWatch {
 public:
  double LapMs() {
    const auto now = SystemClock().Now();
    const std::chrono::duration<double, std::milli> lap = now - last_;
    last_ = now;
    return lap.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = SystemClock().Now();
};

// When a command that may not run for ever is asked, and then made, to end.
class TimeLimit {
 public:
  explicit TimeLimit(std::optional<std::chrono::milliseconds> limit) {
    if (limit) due_ = SystemClock().Now() + *limit;
  }
  // How long to wait for the next signal; -1: none is to come.
  int PollMs() const {
    if (!due_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(
        *due_ - SystemClock().Now());
    return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
  }
  // The signal whose time has come, or 0: SIGTERM once, then SIGKILL again and
  // again, since runc may not have made yet what it is for.
  int Due() {
    const Deadline now = SystemClock().Now();
    if (!due_ || now < *due_) return 0;
    const bool again = std::exchange(is_asked_, true);
    due_ = now + (again ? kKillInterval : kTimeToEnd);
    return again ? SIGKILL : SIGTERM;
  }

 private:
  // A first process that has no handler never hears SIGTERM.
  static constexpr std::chrono::seconds kTimeToEnd{2};
  static constexpr std::chrono::seconds kKillInterval{1};

  std::optional<Deadline> due_;
  bool is_asked_ = false;
};

// A failure of our own with the exit code that it gives.
struct Failure {
  int exit_code = kRunFailed;
  Error error;
};

// Of a command that cannot run.
int ExitCodeOf(Code code) {
  if (code == Code::kNotFound) return kRunNoSuchCommand;
  if (code == Code::kDenied) return kRunCannotExecute;
  return kRunFailed;
}

Json StatsToJson(const DeviceStats& stats) {
  Json json;
  json["reads"] = stats.reads;
  json["read_bytes"] = stats.read_bytes;
  json["writes"] = stats.writes;
  json["write_bytes"] = stats.write_bytes;
  json["errors"] = stats.errors;
  json["cache_hits"] = stats.cache_hits;
  json["cache_misses"] = stats.cache_misses;
  json["bytes_loaded"] = stats.bytes_loaded;
  json["chunks_loaded"] = stats.chunks_loaded;
  json["prefetched"] = stats.prefetched;
  return json;
}

class ContainerRun {
 public:
  explicit ContainerRun(const RunRequest& request) : request_(request) {}

  RunReport Run();

 private:
  // Each step in its order; nothing if it went well.
  std::optional<Failure> Prepare();
  std::optional<Failure> CheckRequest() const;
  Status MountRoot();
  std::optional<Failure> MakeBundle();
  std::optional<Failure> CheckCommand(const Rootfs& rootfs,
                                      const ProcessPlan& plan) const;
  Result<int> StartAndWait();
  Result<int> WaitForwarding(const Child& runc);
  void EndCommand(const Child& runc, int signal);
  std::optional<Failure> FailureOfRunc() const;
  void NoteStartup(const Result<DeviceStats>& stats);
  void NoteDevice();
  Status CleanUp();

  const RunRequest& request_;
  RunReport report_;
  StopWatch watch_;
  std::optional<ContainerFolder> folder_;
  std::optional<LoopDevice> loop_;
  std::optional<PrivateMounts> mounts_;
  bool root_is_mounted_ = false;
};

RunReport ContainerRun::Run() {
  std::optional<Failure> failure = Prepare();
  if (!failure) {
    Result<int> exit_code = StartAndWait();
    report_.timings.container_ms = watch_.LapMs();
    if (exit_code.ok())
      report_.exit_code = *exit_code;
    else
      failure = Failure{kRunFailed, std::move(exit_code).error()};
    if (!failure) failure = FailureOfRunc();
  }
  if (failure) {
    report_.exit_code = failure->exit_code;
    report_.error = std::move(failure->error);
  }
  if (Status cleaned = CleanUp(); !cleaned.ok())
    report_.cleanup_error = std::move(cleaned).error();
  report_.timings.cleanup_ms = watch_.LapMs();
  return std::move(report_);
}

std::optional<Failure> ContainerRun::Prepare() {
  if (auto failure = CheckRequest()) return failure;
  if (Status mounted = MountRoot(); !mounted.ok())
    return Failure{kRunFailed, std::move(mounted).error()};
  auto failure = MakeBundle();
  report_.timings.bundle_ms = watch_.LapMs();
  if (failure) return failure;
  if (const auto signal = request_.signals.Take())
    return Failure{
        128 + signal->number,
        MakeError(Code::kUnavailable, "stopped by signal " +
                                          std::to_string(signal->number) +
                                          " before the command started")};
  return std::nullopt;
}

std::optional<Failure> ContainerRun::CheckRequest() const {
  if (!request_.options.terminal || ::isatty(STDIN_FILENO) == 1)
    return std::nullopt;
  return Failure{kRunFailed,
                 MakeError(Code::kInvalid,
                           "-t: standard input is no terminal; leave -t out")};
}

Status ContainerRun::MountRoot() {
  const AttachedDevice& device = request_.device;
  ASSIGN_OR_RETURN(folder_, ContainerFolder::Make(request_.config, device.id));
  // In the namespace that has the FUSE file, before we let that go in ours.
  ASSIGN_OR_RETURN(loop_, LoopDevice::Attach(device.path, device.read_only));
  if (!device.overlay.empty() && !device.read_only)
    RETURN_IF_ERROR(EnsureJournal(*loop_));
  report_.timings.loop_ms = watch_.LapMs();
  std::vector<std::string> needed;
  for (const BindMount& bind : request_.options.binds)
    needed.push_back(bind.host_path);
  ASSIGN_OR_RETURN(mounts_, PrivateMounts::Enter(request_.config, needed));
  RETURN_IF_ERROR(MountExt4(*loop_, folder_->rootfs_dir(),
                            {.read_only = device.read_only}));
  root_is_mounted_ = true;
  report_.timings.mount_ms = watch_.LapMs();
  return Ok();
}

std::optional<Failure> ContainerRun::MakeBundle() {
  const auto failed = [](Error error) {
    return Failure{kRunFailed, std::move(error)};
  };
  const Result<Rootfs> rootfs = Rootfs::Open(folder_->rootfs_dir());
  if (!rootfs.ok()) return failed(rootfs.error());
  const Result<ProcessPlan> plan =
      PlanProcess(*rootfs, request_.image, request_.options, folder_->id());
  if (!plan.ok()) return failed(plan.error());
  const Status written =
      WriteBundle({.bundle_dir = folder_->path(),
                   .rootfs_dir = folder_->rootfs_dir(),
                   .container_id = folder_->id(),
                   .read_only_device = request_.device.read_only},
                  *rootfs, *plan, request_.options);
  if (!written.ok()) return failed(written.error());
  return CheckCommand(*rootfs, *plan);
}

std::optional<Failure> ContainerRun::CheckCommand(
    const Rootfs& rootfs, const ProcessPlan& plan) const {
  const Status checked = [&]() -> Status {
    ASSIGN_OR_RETURN(const ContainerView view,
                     ContainerView::Make(rootfs, request_.options.binds));
    const Result<std::string> path =
        FindCommand(view, plan.argv[0], plan.SearchPath(), plan.working_dir);
    // With binds there is more than we can see; runc says if it is not there.
    if (!path.ok() && path.error().code == Code::kNotFound && view.has_binds())
      return Ok();
    if (!path.ok()) return path.error();
    return CheckProgram(view, *path);
  }();
  if (checked.ok()) return std::nullopt;
  return Failure{ExitCodeOf(checked.error().code), checked.error()};
}

Result<int> ContainerRun::StartAndWait() {
  SpawnOptions spawn;
  spawn.argv = folder_->RuncCommand();
  spawn.argv.insert(spawn.argv.end(),
                    {"run", "--bundle", folder_->path(), folder_->id()});
  // Its supervisor must not outlive us; what it leaves is the doctor's.
  spawn.die_with_parent = true;
  Fd nothing;
  if (!request_.options.interactive && !request_.options.terminal) {
    ASSIGN_OR_RETURN(nothing, OpenFile("/dev/null", O_RDONLY));
    spawn.fds.emplace_back(nothing.get(), STDIN_FILENO);
  }
  if (request_.options.output_to_stderr)
    spawn.fds.emplace_back(STDERR_FILENO, STDOUT_FILENO);
  ASSIGN_OR_RETURN(const Child runc, Spawn(spawn));
  return WaitForwarding(runc);
}

// runc forwards all but SIGKILL, which it cannot see.
void ContainerRun::EndCommand(const Child& runc, int signal) {
  if (signal == SIGKILL) {
    // There may be no container yet, or no more: it is tried again.
    static_cast<void>(folder_->Kill());
    return;
  }
  // Before it reads what it needs to end.
  report_.timed_out = true;
  NoteStartup(ReadDeviceStats(
      DeviceFolder(request_.config, request_.device.id).path()));
  ::syscall(SYS_pidfd_send_signal, runc.pidfd.get(), signal, nullptr, 0);
}

void ContainerRun::NoteStartup(const Result<DeviceStats>& stats) {
  if (stats.ok())
    report_.startup_chunks = stats->startup_chunks;
  else
    report_.startup_chunks = stats.error();
}

Result<int> ContainerRun::WaitForwarding(const Child& runc) {
  TimeLimit limit(request_.options.time_limit);
  while (true) {
    std::array<pollfd, 2> polled = {pollfd{runc.pidfd.get(), POLLIN, 0},
                                    pollfd{request_.signals.fd(), POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), limit.PollMs()) < 0 &&
        errno != EINTR)
      return ErrnoError(errno, "wait for runc");
    if (polled[0].revents != 0) return WaitChild(runc);
    if (const int signal = limit.Due(); signal != 0) EndCommand(runc, signal);
    while (const auto signal = request_.signals.Take()) {
      if (signal->from_terminal) continue;
      ::syscall(SYS_pidfd_send_signal, runc.pidfd.get(), signal->number,
                nullptr, 0);
    }
  }
}

// runc exits with the command's code, or with 1 and an error in its log.
std::optional<Failure> ContainerRun::FailureOfRunc() const {
  if (report_.exit_code == 0) return std::nullopt;
  const Result<Bytes> log = ReadWholeFile(folder_->runc_log(), kMaxLogBytes);
  if (!log.ok()) return std::nullopt;
  const std::string text(AsText(*log));
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const Result<Json> line = Json::Parse(text.substr(begin, end - begin));
    begin = end + 1;
    if (!line.ok() || line->StringOr("level", "") != "error") continue;
    const std::string message = line->StringOr("msg", "");
    // exec: "NAME": why. The name may say anything.
    const size_t exec = message.find("exec: ");
    const size_t why = exec == message.npos ? exec : message.rfind("\":");
    const auto says = [&](std::string_view words) {
      return exec != message.npos &&
             message.find(words, why == message.npos ? exec : why) !=
                 message.npos;
    };
    if (says("not found") || says("no such file"))
      return Failure{kRunNoSuchCommand, MakeError(Code::kNotFound, message)};
    if (says("permission denied") || says("is a directory") ||
        says("not a directory") || says("exec format error"))
      return Failure{kRunCannotExecute, MakeError(Code::kDenied, message)};
    return Failure{kRunFailed, MakeError(Code::kIo, message)};
  }
  return std::nullopt;
}

void ContainerRun::NoteDevice() {
  const DeviceFolder device(request_.config, request_.device.id);
  const Result<DeviceStats> stats = ReadDeviceStats(device.path());
  if (!report_.timed_out) NoteStartup(stats);
  if (stats.ok()) report_.device_stats = StatsToJson(*stats);
  if (!device.IsServed())
    report_.device_fault = "it died; " + device.LastLogLine();
  else if (stats.ok() && stats->errors > 0)
    report_.device_fault = device.LastLogLine();
  else
    return;
  if (report_.device_fault.empty()) report_.device_fault = "nothing";
}

// Every step is taken, whatever became of those before; the first error is
// the one that is told.
Status ContainerRun::CleanUp() {
  Status first;
  const auto keep = [&](Status status) {
    if (first.ok() && !status.ok()) first = std::move(status);
  };
  if (folder_) keep(folder_->DeleteFromRunc());
  NoteDevice();
  if (root_is_mounted_ &&
      ::umount2(folder_->rootfs_dir().c_str(), UMOUNT_NOFOLLOW) != 0)
    keep(ErrnoError(errno, "umount " + folder_->rootfs_dir()));
  loop_.reset();
  if (mounts_) keep(mounts_->Leave());
  keep(DetachDevice(request_.config, request_.device.path));
  if (folder_ && first.ok()) keep(folder_->Remove());
  return first;
}

}  // namespace

Json RunTimings::ToJson() const {
  Json json;
  json["loop_ms"] = loop_ms;
  json["mount_ms"] = mount_ms;
  json["bundle_ms"] = bundle_ms;
  json["container_ms"] = container_ms;
  json["cleanup_ms"] = cleanup_ms;
  return json;
}

RunReport RunContainer(const RunRequest& request) {
  return ContainerRun(request).Run();
}

}  // namespace morsel
