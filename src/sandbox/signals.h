// SPDX-License-Identifier: Apache-2.0
// Signals that `morsel run` passes on to its container instead of dying from
// them. While one of these objects lives, TERM, INT, HUP, QUIT, USR1 and USR2
// are blocked and wait to be taken; programs that are started meanwhile get
// them as usual (base/process.h unblocks).
//
// Make it before the device is attached, so that a Ctrl-C during the start
// leaves nothing behind. Thread safety: belongs to the main thread.
#pragma once

#include <signal.h>

#include <optional>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

class ForwardedSignals {
 public:
  static Result<ForwardedSignals> Block();
  ForwardedSignals(ForwardedSignals&&) noexcept = default;
  ForwardedSignals& operator=(ForwardedSignals&&) = delete;
  ~ForwardedSignals();

  // Readable when a signal waits.
  int fd() const { return fd_.get(); }

  struct Signal {
    int number = 0;
    // Made by the terminal for its whole foreground group: the children have
    // it already.
    bool from_terminal = false;
  };
  // The next signal that waits, or nothing.
  std::optional<Signal> Take();

 private:
  ForwardedSignals(Fd fd, const sigset_t& old_mask)
      : fd_(std::move(fd)), old_mask_(old_mask) {}

  Fd fd_;  // none: moved from
  sigset_t old_mask_;
};

}  // namespace morsel
