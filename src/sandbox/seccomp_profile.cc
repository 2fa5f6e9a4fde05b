// SPDX-License-Identifier: Apache-2.0
#include "sandbox/seccomp_profile.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace morsel {
namespace {

constexpr int kEperm = 1;
constexpr int kEnosys = 38;

// What any program may call, by name. Names of other architectures are passed
// over by runc.
constexpr std::string_view kAllowed =
    "_llseek _newselect accept accept4 access adjtimex alarm arch_prctl "
    "arm_fadvise64_64 arm_sync_file_range bind breakpoint brk cacheflush "
    "cachestat capget capset chdir chmod chown chown32 clock_adjtime "
    "clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range "
    "connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 "
    "epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait "
    "epoll_wait_old eventfd eventfd2 execve execveat exit exit_group "
    "faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark "
    "fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 "
    "fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat "
    "fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex "
    "futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat "
    "get_robust_list get_thread_area getcpu getcwd getdents getdents64 "
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups "
    "getgroups32 getitimer getpeername getpgid getpgrp getpid getppid "
    "getpriority getrandom getresgid getresgid32 getresuid getresuid32 "
    "getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday "
    "getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1 "
    "inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit "
    "ioctl ioprio_get ioprio_set ipc kill landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr "
    "link linkat listen listmount listxattr llistxattr lremovexattr lseek "
    "lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create "
    "memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall "
    "mmap mmap2 modify_ldt mprotect mq_getsetattr mq_notify mq_open "
    "mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 "
    "mq_unlink mremap msgctl msgget msgrcv msgsnd msync munlock munlockall "
    "munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause "
    "pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free "
    "pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 "
    "prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 "
    "pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readdir "
    "readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg "
    "remap_file_pages removexattr rename renameat renameat2 restart_syscall "
    "rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 "
    "rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min "
    "sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity "
    "sched_setattr sched_setparam sched_setscheduler sched_yield seccomp "
    "select semctl semget semop semtimedop semtimedop_time64 send sendfile "
    "sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area "
    "set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid "
    "setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid "
    "setregid32 setresgid setresgid32 setresuid setresuid32 setreuid "
    "setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr shmat "
    "shmctl shmdt shmget shutdown sigaction sigaltstack signal signalfd "
    "signalfd4 sigpending sigprocmask sigreturn sigsuspend socketcall "
    "socketpair splice stat stat64 statfs statfs64 statmount statx symlink "
    "symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee "
    "tgkill time timer_create timer_delete timer_getoverrun timer_gettime "
    "timer_gettime64 timer_settime timer_settime64 timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 "
    "times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat "
    "utime utimensat utimensat_time64 utimes vfork wait4 waitid waitpid write "
    "writev";

struct Gated {
  std::string_view capability;
  std::string_view syscalls;
};

// What is allowed to who has the capability.
constexpr auto kGated = std::to_array<Gated>({
    {"CAP_BPF", "bpf"},
    {"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
    {"CAP_PERFMON", "perf_event_open"},
    {"CAP_SYSLOG", "syslog"},
    {"CAP_SYS_ADMIN",
     "bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
     "mount mount_setattr move_mount open_tree perf_event_open quotactl "
     "quotactl_fd setdomainname sethostname setns syslog umount umount2 "
     "unshare"},
    {"CAP_SYS_BOOT", "reboot"},
    {"CAP_SYS_CHROOT", "chroot"},
    {"CAP_SYS_MODULE", "delete_module finit_module init_module"},
    {"CAP_SYS_NICE",
     "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"CAP_SYS_PACCT", "acct"},
    {"CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise"},
    {"CAP_SYS_RAWIO", "ioperm iopl"},
    {"CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"CAP_SYS_TTY_CONFIG", "vhangup"},
});

// personality(2): PER_LINUX and PER_LINUX32, each also with UNAME26, and
// asking for the present one.
constexpr auto kPersonalities =
    std::to_array<int64_t>({0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF});

// AF_VSOCK reaches the host of a virtual machine around every firewall.
constexpr int64_t kAfVsock = 40;

constexpr int64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWCGROUP |
                                    CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

// Appends the words of `text` to `names`.
void AppendWords(std::string_view text, Json::Array& names) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const Json name(text.substr(begin, end - begin));
    // Two capabilities may allow the same call.
    if (std::find(names.begin(), names.end(), name) == names.end())
      names.push_back(name);
    begin = end + 1;
  }
}

bool Has(const std::vector<std::string>& capabilities, std::string_view name) {
  return std::find(capabilities.begin(), capabilities.end(), name) !=
         capabilities.end();
}

Json Rule(Json::Array names, std::string_view action) {
  Json rule;
  rule["names"] = std::move(names);
  rule["action"] = action;
  return rule;
}

Json RuleIf(std::string_view name, std::string_view op, int64_t value,
            int64_t value_two) {
  Json condition;
  condition["index"] = 0;
  condition["value"] = value;
  condition["valueTwo"] = value_two;
  condition["op"] = op;
  Json rule = Rule({Json(name)}, "SCMP_ACT_ALLOW");
  rule["args"].Append(std::move(condition));
  return rule;
}

// The machine's own architecture and those whose programs it runs too.
Json::Array Architectures() {
#if defined(__x86_64__)
  return {Json("SCMP_ARCH_X86_64"), Json("SCMP_ARCH_X86"),
          Json("SCMP_ARCH_X32")};
#elif defined(__aarch64__)
  return {Json("SCMP_ARCH_AARCH64"), Json("SCMP_ARCH_ARM")};
#else
#error "Morsel runs on x86-64 and arm64."
#endif
}

// Threads and processes for everyone, new namespaces for administrators.
// clone3's flags lie in memory where no filter can see them: ENOSYS makes the
// C library use clone instead.
void AppendClone(bool is_admin, Json& rules) {
  if (is_admin) {
    rules.Append(Rule({Json("clone"), Json("clone3")}, "SCMP_ACT_ALLOW"));
    return;
  }
  rules.Append(RuleIf("clone", "SCMP_CMP_MASKED_EQ", kNamespaceFlags, 0));
  Json refused = Rule({Json("clone3")}, "SCMP_ACT_ERRNO");
  refused["errnoRet"] = kEnosys;
  rules.Append(std::move(refused));
}

}  // namespace

Json SeccompProfile(const std::vector<std::string>& capabilities) {
  Json::Array allowed;
  AppendWords(kAllowed, allowed);
  for (const Gated& gated : kGated)
    if (Has(capabilities, gated.capability))
      AppendWords(gated.syscalls, allowed);
  Json rules;
  rules.Append(Rule(std::move(allowed), "SCMP_ACT_ALLOW"));
  for (const int64_t value : kPersonalities)
    rules.Append(RuleIf("personality", "SCMP_CMP_EQ", value, 0));
  rules.Append(RuleIf("socket", "SCMP_CMP_NE", kAfVsock, 0));
  AppendClone(Has(capabilities, "CAP_SYS_ADMIN"), rules);
  Json profile;
  profile["defaultAction"] = "SCMP_ACT_ERRNO";
  profile["defaultErrnoRet"] = kEperm;
  profile["architectures"] = Architectures();
  profile["syscalls"] = std::move(rules);
  return profile;
}

}  // namespace morsel
