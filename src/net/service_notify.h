// SPDX-License-Identifier: Apache-2.0
// What a daemon tells its service manager (sd_notify(3)): a datagram to the
// socket that NOTIFY_SOCKET names. Opened before the daemon gives up its
// rights; saying needs sendto alone.
//
// Thread safety: thread-safe after Open.
#pragma once

#include <string_view>

#include "base/fd.h"

namespace morsel {

class ServiceNotify {
 public:
  // Without NOTIFY_SOCKET, or if it cannot be reached, nothing is ever said.
  static ServiceNotify Open();

  void Ready() const { Say("READY=1"); }
  void Stopping() const { Say("STOPPING=1"); }
  // Shown by `systemctl status`.
  void Say(std::string_view text) const;

 private:
  Fd socket_;
};

}  // namespace morsel
