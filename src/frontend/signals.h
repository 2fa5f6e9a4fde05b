// SPDX-License-Identifier: Apache-2.0
// SIGTERM, SIGINT, SIGHUP and SIGQUIT become readable from a descriptor instead
// of ending the process; SIGPIPE is ignored.
//
// Thread safety: called once, with one thread.
#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

// A signalfd(2) that does not block.
Result<Fd> BlockSignals();
// The number of the next signal; 0 if there is none.
uint32_t ReadSignal(const Fd& signals);

}  // namespace morsel
