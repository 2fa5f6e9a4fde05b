// SPDX-License-Identifier: Apache-2.0
// Giving up every right that a worker of untrusted input does not need: user,
// capabilities, and all system calls but those that it names (seccomp(2),
// capabilities(7)). There is no way back.
//
// What a confined process still needs must be open, read and warm before: it
// opens nothing, executes nothing, maps nothing executable, starts threads but
// no processes, and leaves no core file (PR_SET_DUMPABLE 0). Memory that it
// locks counts against RLIMIT_MEMLOCK from then on.
//
// Thread safety: call once, while the process has one thread: capabilities
// belong to a thread. The filter itself reaches every thread.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace morsel {

struct ConfineOptions {
  // Who the process becomes, with no other group; 0 keeps user and groups.
  uid_t uid = 0;
  // 0: the group with the number of `uid`.
  gid_t gid = 0;
  // Names of system calls beside the common ones: memory, threads, signals,
  // clocks, reading, writing, polling and messages on open descriptors.
  std::vector<std::string> syscalls;
};

// From now on any other system call kills the process (SIGSYS). A parent-death
// signal that was set before is kept; who relies on it asks getppid()
// afterwards. On an error the process has some of its rights still: it exits.
// kInvalid: a system call of that name does not exist. kDenied: `uid` is set
// and the caller is not root. kIo: another system call failed.
Status Confine(const ConfineOptions& options);

// From now on a crash leaves no core file, wherever the machine puts them: for
// who holds keys or plaintext and cannot be confined. Programs that it starts
// leave theirs as they would. A change of user undoes it. kIo.
Status RefuseCoreFiles();

// The two halves, for who needs only one. DropPrivileges leaves the process
// with no capability in any set and no_new_privs.
Status DropPrivileges(uid_t uid, gid_t gid);
Status SeccompAllow(const std::vector<std::string>& syscalls);

}  // namespace morsel
