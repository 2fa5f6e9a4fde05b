// SPDX-License-Identifier: Apache-2.0
// The guard itself: frontend/guard.h says what it is. guard.cc has its life,
// guard_upgrade.cc how a newer program takes its place.
//
// Thread safety: owned by one thread.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "base/result.h"
#include "block/agent_setup.h"
#include "frontend/agent_files.h"
#include "frontend/fuse_mount.h"
#include "frontend/fuse_slots.h"
#include "frontend/guard_state.h"
#include "frontend/local_cache_process.h"
#include "frontend/twin.h"

namespace morsel {

class Guard {
 public:
  // Everything up to a usable device.
  Status Start();
  // Takes the place of an older program, and replaces its child and cache.
  Status Resume(int state);
  // Says `line` to the starter. A twin that has taken over says nothing: the
  // starter has seen the guard's death, or has heard it before.
  bool SayReady(const Json& line);
  // Supervises until the device ends: the exit code.
  int Supervise();
  // Ends the device: the same exit code.
  int End(int code);
  const AgentSetup& setup() const { return files_->setup; }

 private:
  enum class ChildState { kNone, kStarting, kServing, kFailed };

  Status AwaitFirstChild();
  // Waits for one event, until `deadline`, and attends to it. The exit code
  // once the device has ended.
  std::optional<int> Step(Deadline deadline);
  std::optional<int> AttendChildsEnd();
  bool BuryChild();
  void AttendChildsWord();
  void AttendSignal();
  void AttendCache();
  void AttendTwin();
  // Someone who asks for a newer program, or for the local cache.
  void AttendControl();
  GuardState State(const Fd& reply) const;
  void FinishUpgrade();
  // The twin goes on with the old program.
  [[noreturn]] void FailUpgrade(const Error& error);

  void StartChild();
  // Gives the child a connection to the local cache; or, if that is away, its
  // arena. Ok: a connection.
  Status GiveCache();
  void GiveArena();
  void TellTwin(TwinNews::Kind kind, const Child& process, const Fd& socket);
  void KeepTwin();
  void TakeOver(std::vector<TwinNews> news);
  void WriteNote();

  Fd ready_{kAgentReadyFd};  // closed once something was said
  Fd signals_;
  std::optional<AgentFiles> files_;
  std::optional<FuseSlots> slots_;
  std::optional<FuseMount> mount_;
  std::optional<LocalCacheProcess> cache_;
  ChildState child_state_ = ChildState::kNone;
  Child child_;
  Fd child_socket_;
  Error start_error_;  // of one that kFailed, or of the cache
  Twin twin_;
  Fd control_;  // listens
  Fd reply_;    // to who has asked for this program, until it serves
  Deadline try_again_ = Deadline::max();  // what could not be started
  bool is_attached_ = false;              // a first child has served
  bool took_over_ = false;
};

}  // namespace morsel
