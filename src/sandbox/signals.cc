// SPDX-License-Identifier: Apache-2.0
#include "sandbox/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace morsel {

Result<ForwardedSignals> ForwardedSignals::Block() {
  sigset_t mask;
  ::sigemptyset(&mask);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2})
    ::sigaddset(&mask, number);
  Fd fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoError(errno, "signalfd");
  sigset_t old_mask;
  if (::sigprocmask(SIG_BLOCK, &mask, &old_mask) != 0)
    return ErrnoError(errno, "block signals");
  return ForwardedSignals(std::move(fd), old_mask);
}

ForwardedSignals::~ForwardedSignals() {
  if (!fd_) return;
  // What came too late to be passed on is dropped: there is nobody left.
  while (Take()) {
  }
  ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
}

std::optional<ForwardedSignals::Signal> ForwardedSignals::Take() {
  signalfd_siginfo info;
  const ssize_t n = ::read(fd_.get(), &info, sizeof(info));
  if (n != static_cast<ssize_t>(sizeof(info))) return std::nullopt;
  return Signal{.number = static_cast<int>(info.ssi_signo),
                .from_terminal = info.ssi_code == SI_KERNEL};
}

}  // namespace morsel
