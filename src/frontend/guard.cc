// SPDX-License-Identifier: Apache-2.0
#include "frontend/guard.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include "base/log.h"
#include "frontend/agent_note.h"
#include "frontend/control.h"
#include "frontend/guard_process.h"
#include "frontend/report.h"
#include "frontend/signals.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

// How long the first child may take until its device is usable.
constexpr std::chrono::seconds kStartTimeout(25);
// What could not be started is tried again so often.
constexpr std::chrono::seconds kTryAgain(1);

// Milliseconds for poll, at least 0.
int MillisecondsUntil(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(
      deadline - SystemClock().Now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

}  // namespace

Status Guard::Start() {
  ASSIGN_OR_RETURN(signals_, BlockSignals());
  ASSIGN_OR_RETURN(AgentFiles files, AgentFiles::Make());
  files_.emplace(std::move(files));
  ASSIGN_OR_RETURN(FuseSlots slots, files_->MapMarks());
  slots_.emplace(std::move(slots));
  slots_->SetGuard(::getpid());
  control_ = OpenControl(setup().device_dir);
  ASSIGN_OR_RETURN(LocalCacheProcess cache, LocalCacheProcess::Start(setup()));
  cache_.emplace(std::move(cache));
  ASSIGN_OR_RETURN(FuseMount mount,
                   FuseMount::Make(setup().device_dir + "/fuse"));
  mount_.emplace(std::move(mount));
  RETURN_IF_ERROR(AwaitFirstChild());
  is_attached_ = true;
  KeepTwin();
  return Ok();
}

Status Guard::AwaitFirstChild() {
  const Deadline deadline = SystemClock().Now() + kStartTimeout;
  start_error_ = MakeError(Code::kUnavailable,
                           "the agent's child died before its device was "
                           "usable");
  StartChild();
  while (child_state_ == ChildState::kStarting) {
    if (SystemClock().Now() >= deadline)
      return MakeError(Code::kTimeout,
                       "the agent's child was not ready after 25 s");
    if (child_.pid < 0 || cache_->process().pid < 0) break;
    Step(deadline);
  }
  if (child_state_ == ChildState::kServing) return Ok();
  return start_error_;
}

bool Guard::SayReady(const Json& line) {
  if (took_over_) return true;
  const Fd ready = std::move(ready_);
  return WriteFull(ready.get(), AsBytes(line.Dump() + "\n")).ok();
}

// If it cannot be started now, Step tries again.
void Guard::StartChild() {
  Result<StartedChild> started = SpawnChild(*files_, mount_->fd());
  if (!started.ok()) {
    LogError("no child", {{"cause", started.error().message}});
    return;
  }
  child_ = std::move(started->process);
  child_socket_ = std::move(started->socket);
  child_state_ = ChildState::kStarting;
  cache_->ForgetChild();
  // First the twin: it must know of every child that may begin.
  TellTwin(TwinNews::Kind::kChild, child_, child_socket_);
  if (const Status given = GiveCache(); !given.ok())
    LogWarn("the child waits for a local cache",
            {{"cause", given.error().message}});
}

Status Guard::GiveCache() {
  if (!child_socket_) return Ok();
  Status given = MakeError(Code::kUnavailable, "the local cache is away");
  if (cache_->process().pid > 0) given = cache_->GiveClient(child_socket_);
  if (!given.ok()) GiveArena();
  return given;
}

// Of use to a child that has none yet.
void Guard::GiveArena() {
  if (!child_socket_) return;
  if (const Status given = cache_->GiveArena(child_socket_); !given.ok())
    LogWarn("the child has no arena", {{"cause", given.error().message}});
}

void Guard::TellTwin(TwinNews::Kind kind, const Child& process,
                     const Fd& socket) {
  // One that does not hear is replaced before the process goes on.
  if (twin_.exists() && !twin_.Tell(kind, process, socket)) KeepTwin();
}

// Forks a twin, in place of the one that there may be. Returns in the guard;
// and in the twin, once it is the guard and has a twin.
void Guard::KeepTwin() {
  Twin old = std::move(twin_);
  while (true) {
    const pid_t guard = ::getpid();
    std::vector<TwinNews> news;
    const Result<bool> is_guard = Twin::Fork(twin_, news);
    if (is_guard.ok() && !*is_guard) {
      // The old one may live still, and claim it too.
      if (!slots_->ClaimGuard(guard, ::getpid())) ::_exit(0);
      old = {};
      TakeOver(std::move(news));
      continue;
    }
    if (!is_guard.ok())
      LogError("no twin", {{"cause", is_guard.error().message}});
    old.End();
    WriteNote();
    return;
  }
}

void Guard::TakeOver(std::vector<TwinNews> news) {
  // Whoever waits for the first one's word sees that it has died.
  ready_.Close();
  reply_.Close();
  took_over_ = true;
  slots_->AddDeath();
  for (TwinNews& item : news) {
    if (item.kind == TwinNews::Kind::kCache) {
      cache_->Adopt(std::move(item.process), std::move(item.socket));
      continue;
    }
    child_ = std::move(item.process);
    child_socket_ = std::move(item.socket);
    child_state_ = ChildState::kStarting;
    cache_->ForgetChild();  // what was counted here was another child's
  }
  if (slots_->IsServing()) child_state_ = ChildState::kServing;
  LogWarn("the guard died; its twin has taken over",
          {{"image", setup().image}, {"pid", ::getpid()}});
  if (child_state_ == ChildState::kServing) return;
  // It may have got none yet; one too many does no harm.
  if (const Status given = GiveCache(); !given.ok())
    LogWarn("the child waits for a local cache",
            {{"cause", given.error().message}});
}

int Guard::Supervise() {
  while (true)
    if (const auto code = Step(Deadline::max())) return *code;
}

std::optional<int> Guard::Step(Deadline deadline) {
  const bool lacks_twin = is_attached_ && !twin_.exists();
  const bool lacks = child_.pid < 0 || cache_->process().pid < 0 || lacks_twin;
  // Whatever else happens meanwhile does not put it off.
  if (!lacks) try_again_ = Deadline::max();
  if (lacks && try_again_ == Deadline::max())
    try_again_ = SystemClock().Now() + kTryAgain;
  std::array<pollfd, 6> polled = {
      pollfd{child_.pidfd.get(), POLLIN, 0},
      pollfd{child_socket_.get(), POLLIN, 0},
      pollfd{signals_.get(), POLLIN, 0},
      pollfd{cache_->process().pidfd.get(), POLLIN, 0},
      pollfd{twin_.process().pidfd.get(), POLLIN, 0},
      pollfd{reply_ ? -1 : control_.get(), POLLIN, 0}};
  const int count = ::poll(polled.data(), polled.size(),
                           MillisecondsUntil(std::min(deadline, try_again_)));
  if (count < 0) {
    if (errno == EINTR) return std::nullopt;
    LogError("poll failed", {{"errno", errno}});
    return End(1);
  }
  const bool again = SystemClock().Now() >= try_again_;
  if (again) try_again_ = Deadline::max();
  if (polled[1].revents != 0) AttendChildsWord();
  if (polled[0].revents != 0) return AttendChildsEnd();
  if (polled[2].revents != 0) AttendSignal();
  if (child_.pid < 0) return AttendChildsEnd();
  if (polled[3].revents != 0 || (again && cache_->process().pid < 0))
    AttendCache();
  if (polled[4].revents != 0 || (again && lacks_twin)) AttendTwin();
  if (polled[5].revents != 0) AttendControl();
  return std::nullopt;
}

void Guard::AttendChildsWord() {
  Bytes buffer(64 * kKiB);
  const Result<std::optional<ReceivedMessage>> message =
      TryReceiveMessage(child_socket_.get(), buffer);
  if (message.ok() && !message->has_value()) return;
  if (!message.ok()) {  // it has died, as its pidfd will say
    child_socket_.Close();
    return;
  }
  const auto word = AsText(ByteSpan(buffer).first((*message)->byte_count));
  if (const auto received = ParseNeedsCache(word)) {
    if (cache_->MustReplace(*received) && GiveCache().ok())
      LogWarn("the child lost its local cache; it is connected again", {});
    return;
  }
  const Status report = ParseReport(word);
  if (report.ok()) {
    child_state_ = ChildState::kServing;
    WriteNote();
    if (reply_) FinishUpgrade();
    return;
  }
  if (reply_) FailUpgrade(report.error());
  child_state_ = ChildState::kFailed;
  start_error_ = report.error();
  LogError("the agent's child cannot start",
           {{"image", setup().image}, {"cause", start_error_.message}});
}

void Guard::AttendSignal() {
  const uint32_t number = ReadSignal(signals_);
  // SIGHUP: a terminal went; nothing to do.
  if (number == 0 || number == SIGHUP) return;
  // The child sees the end, and ends.
  const Status unmounted = mount_->Unmount();
  if (unmounted.ok()) return;
  LogWarn("not ended: the device is in use",
          {{"signal", number}, {"cause", unmounted.error().message}});
}

// Hits go on without it; the child gets the next one.
void Guard::AttendCache() {
  const bool is_news = cache_->process().pid > 0;
  if (is_news) slots_->AddDeath();
  Status again = cache_->Restart();
  // A shared one may stay away for long: that is said once.
  if (!again.ok() && !is_news && cache_->is_shared()) return;
  if (again.ok()) {
    if (!cache_->is_shared())
      TellTwin(TwinNews::Kind::kCache, cache_->process(), cache_->control());
    again = GiveCache();
    WriteNote();
  }
  if (again.ok()) return;
  // The connection that the child begins with may be one that has died.
  if (is_news) GiveArena();
  LogError("no local cache", {{"cause", again.error().message}});
  start_error_ = again.error();
}

void Guard::AttendTwin() {
  if (twin_.exists()) {
    slots_->AddDeath();
    LogWarn("the guard's twin died", {{"pid", twin_.process().pid}});
    twin_.End();
  }
  KeepTwin();
}

std::optional<int> Guard::AttendChildsEnd() {
  if (child_.pid > 0 && !BuryChild()) {
    // Its users get EIO now and do not wait for ever.
    mount_->Abort();
    LogError("the agent's children die again and again; the device is gone",
             {{"image", setup().image}});
    return End(1);
  }
  if (mount_->HasEnded()) return End(0);
  if (is_attached_) StartChild();
  return std::nullopt;
}

// False: the device must end.
bool Guard::BuryChild() {
  const Result<int> code = WaitChild(child_);
  child_ = {};
  child_socket_.Close();
  if (mount_->HasEnded()) return true;
  if (reply_)
    FailUpgrade(MakeError(Code::kUnavailable, "the new child has died"));
  slots_->AddDeath();
  // A guard that was a twin has not started the child, and is not told.
  const int exit_code = code.ok() ? *code : 128 + SIGKILL;
  LogError("the agent's child died",
           {{"image", setup().image}, {"code", exit_code}});
  const std::chrono::duration<double> patience(setup().io_timeout_seconds);
  return slots_->CountDeath(
      {.killed = exit_code == 128 + SIGKILL,
       .awaited = mount_->HasWaiting(),
       .now = SystemClock().Now(),
       .patience =
           std::chrono::duration_cast<std::chrono::nanoseconds>(patience)});
}

void Guard::WriteNote() {
  const AgentNote note{.guard = ::getpid(),
                       .twin = twin_.process().pid,
                       .child = child_.pid,
                       // The shared one is not the device's to end.
                       .cache = cache_->is_shared() ? 0 : cache_->process().pid,
                       .deaths = slots_->Deaths()};
  if (const Status written = note.Write(setup().device_dir); !written.ok())
    LogWarn("cannot say who serves the device",
            {{"cause", written.error().message}});
}

// The twin first: it would take the guard's death for a mishap.
int Guard::End(int code) {
  twin_.End();
  if (child_.pid > 0) {
    ::kill(child_.pid, SIGKILL);
    const Result<int> ignored = WaitChild(child_);
    child_ = {};
  }
  // A device that failed keeps nobody waiting.
  if (cache_) cache_->Stop(/*ends_lease=*/code == 0);
  if (mount_) mount_->Abort();
  return code;
}

int RunGuard() {
  Guard guard;
  const Status started = guard.Start();
  if (!started.ok()) {
    guard.SayReady(ErrorReport(started.error()));
    return guard.End(1);
  }
  Json ready;
  ready["path"] = guard.setup().device_dir + "/fuse/disk";
  ready["pid"] = static_cast<int64_t>(::getpid());
  // Without a starter nobody would end the device.
  if (!guard.SayReady(ready)) return guard.End(1);
  return guard.Supervise();
}

}  // namespace morsel
