// SPDX-License-Identifier: Apache-2.0
// The guard's twin: a fork of it, with the same memory and descriptors, that
// waits for the guard's death and then takes its place.
//
// What has changed since the fork reaches it as news over a socket: each names
// a process that the guard has started, with two descriptors. News that nobody
// reads wait in the socket. A process that the twin has no news of ends by
// itself, as the only other end of its socket died with the guard.
//
// Thread safety: owned by one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"

namespace morsel {

struct TwinNews {
  enum class Kind : uint8_t { kChild = 1, kCache = 2 };
  Kind kind = Kind::kChild;
  Child process;
  Fd socket;  // the guard's end of the one to the process
};

class Twin {
 public:
  Twin() = default;
  Twin(Twin&&) noexcept = default;
  Twin& operator=(Twin&&) noexcept = default;

  // Forks. Returns true in the guard at once, with `twin` to keep; in the twin
  // it returns only after the guard's death: false, with what the guard did
  // since in `news`, in order. Call it with one thread. kIo, kExhausted.
  static Result<bool> Fork(Twin& twin, std::vector<TwinNews>& news);

  // One that another has forked.
  static Twin Adopt(Child process, Fd socket);

  const Child& process() const { return process_; }
  const Fd& socket() const { return socket_; }
  bool exists() const { return process_.pid > 0; }
  // False: it cannot hear. End it, and fork another.
  bool Tell(TwinNews::Kind kind, const Child& process, const Fd& socket);
  // Kills it, and waits for its end.
  void End();

 private:
  Child process_;
  Fd socket_;
};

}  // namespace morsel
