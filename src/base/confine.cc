// SPDX-License-Identifier: Apache-2.0
#include "base/confine.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>
#include <type_traits>

#include "base/clock.h"

namespace morsel {
namespace {

// What the C and C++ libraries need for threads, memory, signals and clocks,
// and what works on descriptors that are open. None of them takes a path.
constexpr std::string_view kCommonSyscalls[] = {"brk",
                                                "clock_getres",
                                                "clock_gettime",
                                                "clock_nanosleep",
                                                "close",
                                                "epoll_create1",
                                                "epoll_ctl",
                                                "epoll_pwait",
                                                "epoll_pwait2",
                                                "epoll_wait",
                                                "eventfd2",
                                                "exit",
                                                "exit_group",
                                                "fstat",
                                                "futex",
                                                "getpid",
                                                "getppid",
                                                "getrandom",
                                                "gettid",
                                                "gettimeofday",
                                                "lseek",
                                                "madvise",
                                                "mlock",
                                                "mremap",
                                                "munlock",
                                                "munmap",
                                                "nanosleep",
                                                "poll",
                                                "ppoll",
                                                "pread64",
                                                "preadv",
                                                "pwrite64",
                                                "pwritev",
                                                "read",
                                                "readv",
                                                "recvfrom",
                                                "recvmsg",
                                                "restart_syscall",
                                                "rseq",
                                                "rt_sigaction",
                                                "rt_sigpending",
                                                "rt_sigprocmask",
                                                "rt_sigreturn",
                                                "rt_sigtimedwait",
                                                "sched_getaffinity",
                                                "sched_yield",
                                                "sendmsg",
                                                "sendto",
                                                "set_robust_list",
                                                "shutdown",
                                                "sigaltstack",
                                                "tgkill",
                                                "timerfd_settime",
                                                "write",
                                                "writev"};

#if defined(MORSEL_SANITIZED) || defined(MORSEL_COVERAGE)
constexpr bool kInstrumented = true;
#else
constexpr bool kInstrumented = false;
#endif

// The sanitizers map, look at /proc and trace their own threads when the
// process ends; coverage counters are written to files then.
constexpr std::string_view kInstrumentSyscalls[] = {
    "access",         "clone",     "clone3",
    "fcntl",          "ftruncate", "getdents",
    "getdents64",     "getegid",   "geteuid",
    "getgid",         "getrlimit", "gettid",
    "getuid",         "ioctl",     "kill",
    "lstat",          "mincore",   "mkdir",
    "mmap",           "mprotect",  "newfstatat",
    "open",           "openat",    "pipe2",
    "prctl",          "prlimit64", "process_vm_readv",
    "ptrace",         "readlink",  "readlinkat",
    "sched_getparam", "stat",      "sysinfo",
    "uname",          "wait4"};

struct FilterFree {
  void operator()(void* filter) const { seccomp_release(filter); }
};
using Filter =
    std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, FilterFree>;

Status AllowSyscall(scmp_filter_ctx filter, const std::string& name) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number == __NR_SCMP_ERROR) {
    return MakeError(Code::kInvalid, "no system call is named " + name);
  }
  const int error =
      seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 0, nullptr);
  // -EOPNOTSUPP, -EDOM: a system call of other machines only.
  if (error != 0 && error != -EOPNOTSUPP && error != -EDOM) {
    return ErrnoError(-error, "allow the system call " + name);
  }
  return Ok();
}

Status AllowIf(scmp_filter_ctx filter, int number, scmp_arg_cmp condition) {
  const int error =
      seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, 1, &condition);
  if (error != 0) return ErrnoError(-error, "allow part of a system call");
  return Ok();
}

// Calls that are harmless only with some arguments.
Status AllowInPart(scmp_filter_ctx filter) {
  const scmp_arg_cmp not_executable = {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
  RETURN_IF_ERROR(AllowIf(filter, SCMP_SYS(mmap), not_executable));
  RETURN_IF_ERROR(AllowIf(filter, SCMP_SYS(mprotect), not_executable));
  RETURN_IF_ERROR(
      AllowIf(filter, SCMP_SYS(prctl), {0, SCMP_CMP_EQ, PR_SET_NAME, 0}));
  RETURN_IF_ERROR(AllowIf(filter, SCMP_SYS(clone),
                          {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD}));
  // A filter cannot see the arguments of clone3; without it the C library
  // takes clone.
  const int error = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(ENOSYS),
                                           SCMP_SYS(clone3), 0, nullptr);
  if (error != 0) return ErrnoError(-error, "refuse clone3");
  return Ok();
}

Status AllowInstruments(scmp_filter_ctx filter) {
  for (std::string_view name : kInstrumentSyscalls) {
    RETURN_IF_ERROR(AllowSyscall(filter, std::string(name)));
  }
  return Ok();
}

Status DropBoundingSet() {
  for (unsigned long cap = 0; cap < 64; ++cap) {
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0) continue;
    if (errno == EINVAL) break;  // beyond the kernel's last capability
    // Who may not drop it has no capability to lose, and gains none by exec.
    if (errno == EPERM && geteuid() != 0) break;
    return ErrnoError(errno, "drop a capability from the bounding set");
  }
  return Ok();
}

Status ChangeUser(uid_t uid, gid_t gid) {
  // Changing the user clears the parent-death signal (prctl(2)).
  int parent_death_signal = 0;
  prctl(PR_GET_PDEATHSIG, &parent_death_signal, 0, 0, 0);
  if (setgroups(0, nullptr) != 0) return ErrnoError(errno, "drop all groups");
  if (setresgid(gid, gid, gid) != 0) {
    return ErrnoError(errno, "become group " + std::to_string(gid));
  }
  if (setresuid(uid, uid, uid) != 0) {
    return ErrnoError(errno, "become user " + std::to_string(uid));
  }
  if (parent_death_signal != 0 &&
      prctl(PR_SET_PDEATHSIG, parent_death_signal, 0, 0, 0) != 0) {
    return ErrnoError(errno, "keep the parent-death signal");
  }
  return Ok();
}

Status DropCapabilities() {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    return ErrnoError(errno, "clear the ambient capabilities");
  }
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) {
    return ErrnoError(errno, "drop all capabilities");
  }
  return Ok();
}

}  // namespace

Status DropPrivileges(uid_t uid, gid_t gid) {
  RETURN_IF_ERROR(DropBoundingSet());
  if (uid != 0) RETURN_IF_ERROR(ChangeUser(uid, gid != 0 ? gid : uid));
  RETURN_IF_ERROR(DropCapabilities());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoError(errno, "set no_new_privs");
  }
  // Last, as a change of user sets it anew.
  return RefuseCoreFiles();
}

Status RefuseCoreFiles() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return ErrnoError(errno, "refuse core files");
  }
  return Ok();
}

Status SeccompAllow(const std::vector<std::string>& syscalls) {
  // The first conversion of a time, such as a log line's, reads the time zone
  // from a file.
  static_cast<void>(FormatUtc(0));
  const Filter filter(seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (filter == nullptr) {
    return MakeError(Code::kIo, "cannot make a seccomp filter");
  }
  for (std::string_view name : kCommonSyscalls) {
    RETURN_IF_ERROR(AllowSyscall(filter.get(), std::string(name)));
  }
  RETURN_IF_ERROR(kInstrumented ? AllowInstruments(filter.get())
                                : AllowInPart(filter.get()));
  for (const std::string& name : syscalls) {
    RETURN_IF_ERROR(AllowSyscall(filter.get(), name));
  }
  int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
  if (error == 0) error = seccomp_load(filter.get());
  if (error != 0) return ErrnoError(-error, "load the seccomp filter");
  return Ok();
}

Status Confine(const ConfineOptions& options) {
  RETURN_IF_ERROR(DropPrivileges(options.uid, options.gid));
  return SeccompAllow(options.syscalls);
}

}  // namespace morsel
