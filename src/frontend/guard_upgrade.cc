// SPDX-License-Identifier: Apache-2.0
// How a newer program takes the guard's place (frontend/control.h).
#include <unistd.h>

#include <optional>
#include <utility>

#include "base/log.h"
#include "frontend/control.h"
#include "frontend/guard.h"
#include "frontend/guard_process.h"
#include "frontend/report.h"
#include "frontend/signals.h"

namespace morsel {

Status Guard::Resume(int number) {
  static_cast<void>(
      ready_.Release());  // said long ago; the number is another's
  is_attached_ = true;
  ASSIGN_OR_RETURN(signals_, BlockSignals());
  ASSIGN_OR_RETURN(const GuardState state, GuardState::Inherit(number));
  reply_ = Fd(state.reply);
  control_ = Fd(state.control);
  ASSIGN_OR_RETURN(AgentFiles files, AgentFiles::Inherit(state));
  files_.emplace(std::move(files));
  ASSIGN_OR_RETURN(FuseSlots slots, files_->MapMarks());
  slots_.emplace(std::move(slots));
  mount_.emplace(
      FuseMount::Adopt(Fd(state.fuse), setup().device_dir + "/fuse"));
  twin_ = Twin::Adopt({state.twin.pid, Fd(state.twin.pidfd)},
                      Fd(state.twin.socket));
  cache_.emplace(LocalCacheProcess::WithArena(setup(), Fd(state.arena)));
  const Fd old_control(state.cache.socket);
  const Child old_cache{state.cache.pid, Fd(state.cache.pidfd)};
  if (!cache_->is_shared()) KillAndWait(old_cache);
  AttendCache();
  const Fd old_socket(state.child.socket);
  KillAndWait({state.child.pid, Fd(state.child.pidfd)});
  slots_->SetNotServing();
  StartChild();
  return Ok();
}

GuardState Guard::State(const Fd& reply) const {
  GuardState state;
  state.fuse = mount_->fd();
  files_->AddTo(state);
  state.arena = cache_->arena().get();
  state.control = control_.get();
  state.reply = reply.get();
  state.child = GuardState::LinkOf(child_, child_socket_);
  state.twin = GuardState::LinkOf(twin_.process(), twin_.socket());
  state.cache = GuardState::LinkOf(cache_->process(), cache_->control());
  return state;
}

void Guard::AttendControl() {
  const std::optional<ControlRequest> request = TakeRequest(control_.get());
  if (!request) return;
  if (request->program.empty()) {
    const Status lent = cache_->LendClient(request->client);
    if (!lent.ok()) Reply(request->client, ErrorReport(lent.error()));
    return;
  }
  const Status runs = cache_->is_shared() ? cache_->CheckRuns() : Ok();
  if (!runs.ok()) return Reply(request->client, ErrorReport(runs.error()));
  LogInfo("a newer program takes over", {{"program", request->program}});
  // This returns only if it fails.
  const Error error = State(request->client).Exec(request->program);
  LogError("not upgraded", {{"cause", error.message}});
  Reply(request->client, ErrorReport(error));
}

void Guard::FinishUpgrade() {
  const Fd reply = std::move(reply_);
  Json answer;
  answer["guard"] = int64_t{::getpid()};
  answer["child"] = int64_t{child_.pid};
  answer["cache"] = int64_t{cache_->process().pid};
  // The old program's twin served as the way back until now.
  KeepTwin();
  Reply(reply, answer);
  LogInfo("upgraded", {{"image", setup().image}});
}

void Guard::FailUpgrade(const Error& error) {
  LogError("the newer program cannot serve; the old one goes on",
           {{"cause", error.message}});
  Reply(reply_, ErrorReport(error));
  KillAndWait(child_);
  cache_->Stop(/*ends_lease=*/false);
  // No destructor runs: the mount lives on.
  ::_exit(1);
}

int ResumeGuard(int state) {
  Guard guard;
  const Status resumed = guard.Resume(state);
  if (resumed.ok()) return guard.Supervise();
  LogError("this program cannot take the guard's place; the twin goes on",
           {{"cause", resumed.error().message}});
  ::_exit(1);
}

}  // namespace morsel
