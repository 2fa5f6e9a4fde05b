// SPDX-License-Identifier: Apache-2.0
// The local cache of an agent, as its guard sees it: the shared one of the
// worker, which the guard asks for admission and connects to again after its
// death; or, if none is configured, a private one: morsel-localcache, started
// by a guard for its one child, and started again over the same arena if it
// dies. That ends by itself when nobody holds its control socket any more, so
// it outlives a guard whose twin does.
//
// Thread safety: owned by one thread.
#pragma once

#include <chrono>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"
#include "block/agent_setup.h"

namespace morsel {

class LocalCacheProcess {
 public:
  // A daemon that dies this often in a row within kQuickDeath of its start is
  // not started again at once: something is wrong that a new one does not mend.
  static constexpr int kMaxQuickDeaths = 5;
  static constexpr std::chrono::seconds kQuickDeath{2};

  // kNotFound: no morsel-localcache beside this program or in PATH.
  // kExhausted: the shared one refuses the start, for load. kUnavailable: it
  // does not run.
  static Result<LocalCacheProcess> Start(const AgentSetup& setup);
  // None runs yet: Restart starts one with this arena.
  static LocalCacheProcess WithArena(const AgentSetup& setup, Fd arena);
  LocalCacheProcess(LocalCacheProcess&&) noexcept = default;
  LocalCacheProcess& operator=(LocalCacheProcess&&) noexcept = default;

  bool is_shared() const { return !setup_.cache_socket.empty(); }
  // pid -1: it runs no more. A shared one is nobody's to kill or to wait for.
  const Child& process() const { return process_; }
  const Fd& control() const { return control_; }
  // The private one's; of the shared one the last that is known, read only, or
  // none.
  const Fd& arena() const { return arena_; }
  // Gives the child at the other end of `socket` a new connection.
  // kUnavailable: the daemon or the child has died.
  Status GiveClient(const Fd& socket);
  // Gives it the arena without a connection, as the daemon is away, and a ring
  // that nobody drains. kUnavailable: none is known, or the child has died.
  Status GiveArena(const Fd& socket) const;
  // Gives one to somebody who wants to know what a private daemon counts.
  // kInvalid: it is shared, and has a socket of its own.
  Status LendClient(const Fd& socket);
  // kUnavailable: it does not run, so a new child would have to wait for it.
  Status CheckRuns() const;
  // The next child has got none yet.
  void ForgetChild() { given_ = 0; }
  // A child that has got `received` connections has lost the last. False: it
  // gets the next one anyhow, as one is on its way, or the daemon has ended.
  bool MustReplace(uint64_t received);
  // After its death: starts the next, or connects to it. kUnavailable: too many
  // died in a row, or the shared one is not there yet: try again.
  Status Restart();
  // Takes over one that another has started with the same arena.
  void Adopt(Child process, Fd control);
  // Ends a private one and waits. One that may end its lease first is killed
  // if that takes long; else the lease ends by itself.
  void Stop(bool ends_lease);

 private:
  explicit LocalCacheProcess(const AgentSetup& setup) : setup_(setup) {}
  Status Spawn();
  Status Connect(bool is_starting);
  // The client's end of a new connection.
  Result<Fd> NewClient();
  Status SendClient(const Fd& socket);

  AgentSetup setup_;
  Fd arena_;
  Child process_;
  Fd control_;
  Fd client_;           // the first; none once it is given
  uint64_t given_ = 0;  // to this child; a twin that takes over starts from 0
  std::chrono::steady_clock::time_point started_{};
  std::chrono::steady_clock::time_point attached_{};
  int quick_deaths_ = 0;
};

}  // namespace morsel
