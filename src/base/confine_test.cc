// SPDX-License-Identifier: Apache-2.0
#include "base/confine.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/log.h"

namespace morsel {
namespace {

constexpr uid_t kNobody = 65534;

// Runs `body` in a child, which ends with exit code 0 if it returns true. What
// waitpid says of its end.
int RunInChild(const std::function<bool()>& body) {
  const pid_t pid = fork();
  if (pid == 0) exit(body() ? 0 : 1);  // LeakSanitizer runs here as well
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

bool EndedWell(int status) {
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
bool KilledByFilter(int status) {
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

// The value of `field` in /proc/PID/status, without leading blanks.
std::string StatusField(pid_t pid, const std::string& field) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(field + ":")) continue;
    const size_t begin = line.find_first_not_of(" \t", field.size() + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

// A child that has confined itself and waits until this object goes.
class ConfinedChild {
 public:
  explicit ConfinedChild(const ConfineOptions& options) {
    int ready[2];
    int stop[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(stop, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(stop[1]);
      const char answer = Confine(options).ok() ? 'y' : 'n';
      char ignored;
      const bool told = write(ready[1], &answer, 1) == 1;
      exit(told && read(stop[0], &ignored, 1) == 0 ? 0 : 1);
    }
    Fd ready_read(ready[0]);
    Fd ready_write(ready[1]);
    Fd stop_read(stop[0]);
    stop_ = Fd(stop[1]);
    ready_write.Close();
    char answer = 'n';
    EXPECT_EQ(read(ready_read.get(), &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
  }
  ~ConfinedChild() {
    stop_.Close();
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_TRUE(EndedWell(status)) << status;
  }
  ConfinedChild(const ConfinedChild&) = delete;
  ConfinedChild& operator=(const ConfinedChild&) = delete;

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  Fd stop_;
};

TEST(ConfineTest, ComputesLogsAndStartsThreads) {
  EXPECT_TRUE(EndedWell(RunInChild([] {
    if (!Confine({}).ok()) return false;
    int sum = 0;
    std::thread([&] {
      LogWarn("said under confinement", {});
      sum = static_cast<int>(Bytes(10 << 20, std::byte{1}).size());
    }).join();
    return sum == 10 << 20;
  })));
}

TEST(ConfineTest, AnyOtherSystemCallKills) {
  EXPECT_TRUE(KilledByFilter(RunInChild([] {
    if (!Confine({}).ok()) return false;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
  })));
  EXPECT_TRUE(KilledByFilter(RunInChild([] {
    if (!Confine({}).ok()) return false;
    execl("/bin/true", "true", nullptr);
    return true;
  })));
}

TEST(ConfineTest, NamedSystemCallIsAllowed) {
  EXPECT_TRUE(EndedWell(RunInChild([] {
    if (!Confine({.syscalls = {"socket"}}).ok()) return false;
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
  })));
}

TEST(ConfineTest, FilterReachesThreadsThatRunAlready) {
  EXPECT_TRUE(KilledByFilter(RunInChild([] {
    std::atomic<bool> confined = false;
    std::thread thread([&] {
      confined.wait(false);
      static_cast<void>(socket(AF_INET, SOCK_STREAM, 0));
    });
    if (!SeccompAllow({}).ok()) return false;
    confined = true;
    confined.notify_one();
    thread.join();
    return true;
  })));
}

#if !defined(MORSEL_SANITIZED) && !defined(MORSEL_COVERAGE)
TEST(ConfineTest, MapsNothingExecutableAndForksNot) {
  EXPECT_TRUE(KilledByFilter(RunInChild([] {
    if (!Confine({}).ok()) return false;
    return mmap(nullptr, 4096, PROT_READ | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
  })));
  EXPECT_TRUE(KilledByFilter(RunInChild([] {
    if (!Confine({}).ok()) return false;
    return fork() >= 0;
  })));
  EXPECT_TRUE(KilledByFilter(RunInChild([] {
    if (!Confine({}).ok()) return false;
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
  })));
}
#endif

TEST(ConfineTest, LeavesNoCapability) {
  const ConfinedChild child({});
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) {
    EXPECT_EQ(StatusField(child.pid(), set), "0000000000000000") << set;
  }
  if (geteuid() == 0) {
    EXPECT_EQ(StatusField(child.pid(), "CapBnd"), "0000000000000000");
  }
  EXPECT_EQ(StatusField(child.pid(), "NoNewPrivs"), "1");
  EXPECT_EQ(StatusField(child.pid(), "Seccomp"), "2");
}

TEST(ConfineTest, BecomesTheUserAndLeavesNoCoreFile) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const ConfinedChild child({.uid = kNobody});
  EXPECT_EQ(StatusField(child.pid(), "Uid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(StatusField(child.pid(), "Gid"), "65534\t65534\t65534\t65534");
  EXPECT_EQ(StatusField(child.pid(), "Groups"), "");
  // What is not dumpable belongs to root in /proc (proc(5)).
  struct stat info = {};
  const std::string path = "/proc/" + std::to_string(child.pid());
  ASSERT_EQ(stat((path + "/status").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
}

TEST(ConfineTest, KeepsTheParentDeathSignal) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  EXPECT_TRUE(EndedWell(RunInChild([] {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (!DropPrivileges(kNobody, 0).ok()) return false;
    int signal = 0;
    prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0);
    return signal == SIGKILL;
  })));
}

TEST(ConfineTest, UnknownSystemCallIsInvalid) {
  EXPECT_TRUE(EndedWell(RunInChild([] {
    const Status status = Confine({.syscalls = {"no_such_call"}});
    return !status.ok() && status.error().code == Code::kInvalid &&
           status.error().message.find("no_such_call") != std::string::npos;
  })));
}

TEST(ConfineTest, BecomingAnotherUserIsForRoot) {
  EXPECT_TRUE(EndedWell(RunInChild([] {
    if (geteuid() == 0 && !DropPrivileges(kNobody, 0).ok()) return false;
    const Status status = DropPrivileges(1, 1);
    return !status.ok() && status.error().code == Code::kDenied;
  })));
}

}  // namespace
}  // namespace morsel
