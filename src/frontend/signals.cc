// SPDX-License-Identifier: Apache-2.0
#include "frontend/signals.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace morsel {

Result<Fd> BlockSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT})
    ::sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoError(errno, "signalfd");
  return fd;
}

uint32_t ReadSignal(const Fd& signals) {
  signalfd_siginfo info;
  if (::read(signals.get(), &info, sizeof(info)) != sizeof(info)) return 0;
  return info.ssi_signo;
}

}  // namespace morsel
