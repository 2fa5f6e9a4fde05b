// SPDX-License-Identifier: Apache-2.0
#include "sandbox/run.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/process.h"
#include "sandbox/mount.h"
#include "sandbox/sandbox_fixture.h"

namespace morsel {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RunTest : public SandboxTest {
 protected:
  void SetUp() override {
    const std::string why = WhyNoContainers();
    if (!why.empty()) GTEST_SKIP() << why;
    MakeDisk({{"etc/passwd", "www:x:33:34::/srv:/bin/sh\n"},
              {"etc/group", "log:x:40:www\n"},
              {"bin/garbage", "garbage"}});
    image_config_.env = {"PATH=/bin"};
  }

  // Runs `args` with standard output and error caught in output_.
  RunReport Run(std::vector<std::string> args) {
    options_.args = std::move(args);
    RunReport report;
    const auto device = Attach("ready", {.until_exit = true});
    if (!device.ok()) {
      ADD_FAILURE() << device.error().message;
      return report;
    }
    auto signals = ForwardedSignals::Block();
    const std::string file = dir_ + "/output";
    const Fd out = OpenFile(file, O_RDWR | O_CREAT | O_TRUNC, 0600).value();
    const Fd old_out(::dup(1));
    const Fd old_err(::dup(2));
    ::fflush(nullptr);
    ::dup2(out.get(), 1);
    ::dup2(out.get(), 2);
    report =
        RunContainer({config_, *device, image_config_, options_, *signals});
    ::dup2(old_out.get(), 1);
    ::dup2(old_err.get(), 2);
    output_ = std::string(AsText(ReadWholeFile(file, kMiB).value()));
    if (report.cleanup_error) ADD_FAILURE() << report.cleanup_error->message;
    return report;
  }

  ImageConfig image_config_;
  RunOptions options_;
  std::string output_;
};

TEST_F(RunTest, PassesOnOutputAndExitCode) {
  const RunReport report = Run({"sh", "-c", "echo hello; exit 7"});
  EXPECT_EQ(report.exit_code, 7) << output_;
  EXPECT_FALSE(report.error);
  EXPECT_EQ(output_, "hello\n");
  EXPECT_GT(report.timings.container_ms, 0);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(RunTest, LooksAsTheOptionsSay) {
  options_.user = "www";
  options_.working_dir = "/made/here";
  options_.hostname = "box";
  options_.env = {"X=1"};
  options_.memory_bytes = 64 * kMiB;
  options_.cpus = 0.5;
  options_.pids_limit = 50;
  const RunReport report =
      Run({"sh", "-c",
           "id -u; id -g; id -G; pwd; hostname; cat /etc/hostname; "
           "echo $X $HOME; cat /proc/1/status"});
  EXPECT_EQ(report.exit_code, 0) << output_;
  EXPECT_THAT(output_, HasSubstr("33\n34\n34 40\n/made/here\nbox\nbox\n"
                                 "1 /srv\n"));
  EXPECT_THAT(output_, HasSubstr("CapBnd:\t00000000a80425fb"));
  EXPECT_THAT(output_, HasSubstr("CapEff:\t0000000000000000"));
  EXPECT_THAT(output_, HasSubstr("Seccomp:\t2"));
}

TEST_F(RunTest, GivesRootTheDefaultCapabilities) {
  const RunReport report = Run({"cat", "/proc/1/status"});
  EXPECT_EQ(report.exit_code, 0);
  EXPECT_THAT(output_, HasSubstr("CapEff:\t00000000a80425fb"));
}

TEST_F(RunTest, RunsWithEveryCapability) {
  options_.add_capabilities = {"ALL"};
  EXPECT_EQ(Run({"echo", "ok"}).exit_code, 0) << output_;
}

TEST_F(RunTest, TellsItsOwnFailuresFromTheCommands) {
  RunReport report = Run({"missing"});
  EXPECT_EQ(report.exit_code, kRunNoSuchCommand);
  EXPECT_EQ(report.error->code, Code::kNotFound);
  report = Run({"garbage"});
  EXPECT_EQ(report.exit_code, kRunCannotExecute);
  options_.user = "ghost";
  report = Run({"echo"});
  EXPECT_EQ(report.exit_code, kRunFailed);
  options_.user = "";
  report = Run({"sh", "-c", "exit 125"});
  EXPECT_EQ(report.exit_code, 125);
  EXPECT_FALSE(report.error);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(RunTest, TellsThemAlsoWhereOnlyRuncCanKnow) {
  // With a bind there is more than can be looked up before.
  options_.binds = {{dir_, "/data", true}};
  RunReport report = Run({"missing"});
  EXPECT_EQ(report.exit_code, kRunNoSuchCommand) << output_;
  report = Run({"/etc/passwd/x"});
  EXPECT_NE(report.exit_code, 0);
  report = Run({"/etc"});
  EXPECT_EQ(report.exit_code, kRunCannotExecute) << output_;
}

TEST_F(RunTest, BindsFoldersOfTheHost) {
  std::filesystem::create_directories(dir_ + "/share");
  std::ofstream(dir_ + "/share/in") << "from the host";
  options_.binds = {{dir_ + "/share", "/rw", false},
                    {dir_ + "/share", "/ro", true}};
  const RunReport report =
      Run({"sh", "-c", "cat /ro/in; echo x > /rw/out; touch /ro/no || exit 3"});
  EXPECT_EQ(report.exit_code, 3) << output_;
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/share/out"));
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/share/no"));
}

TEST_F(RunTest, WritesToTheRootUnlessItIsReadOnly) {
  EXPECT_EQ(Run({"touch", "/new"}).exit_code, 0) << output_;
  options_.read_only = true;
  EXPECT_NE(Run({"touch", "/newer"}).exit_code, 0);
}

TEST_F(RunTest, HasOnlyALoopbackDeviceWithoutANetwork) {
  EXPECT_EQ(Run({"cat", "/proc/net/dev"}).exit_code, 0);
  EXPECT_THAT(output_, HasSubstr("lo:"));
  EXPECT_THAT(output_, Not(HasSubstr("eth")));
  options_.network = Network::kHost;
  EXPECT_EQ(Run({"sh", "-c", "cat /etc/hosts"}).exit_code, 0);
}

TEST_F(RunTest, LeavesTheMountsOfOthersAlone) {
  const auto other = Attach("ready");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(Run({"sh", "-c", "exit 0"}).exit_code, 0);
  EXPECT_TRUE(std::filesystem::exists(other->path));
  EXPECT_TRUE(DetachDevice(config_, other->path).ok());
}

// Where mounts do not propagate (no systemd), a copy of a mount in the
// container's namespace would keep the other's file system alive.
TEST_F(RunTest, LetsOtherDevicesGoWhileItRuns) {
  const std::string mnt = dir_ + "/mnt";
  std::filesystem::create_directories(mnt);
  const auto other = Attach("ready", {.read_only = true});
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(MountImage(config_, *other, mnt).ok());
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  options_.args = {"sh", "-c",
                   "trap 'exit 5' TERM; echo up; while :; do sleep 1; done"};
  RunnerProcess runner(config_, *device, image_config_, options_);
  const Status unmounted = UmountImage(config_, mnt);
  EXPECT_TRUE(unmounted.ok()) << unmounted.error().message;
  ASSERT_EQ(::kill(runner.pid(), SIGTERM), 0);
  EXPECT_EQ(runner.Wait(), 5);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(RunTest, StopsBeforeTheStartOnASignal) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  auto signals = ForwardedSignals::Block();
  ASSERT_TRUE(signals.ok());
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  options_.args = {"echo"};
  const RunReport report =
      RunContainer({config_, *device, image_config_, options_, *signals});
  EXPECT_EQ(report.exit_code, 128 + SIGTERM);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(RunTest, ForwardsSignals) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  options_.args = {"sh", "-c",
                   "trap 'exit 42' TERM; echo up; while :; do sleep 1; done"};
  RunnerProcess runner(config_, *device, image_config_, options_);
  ASSERT_EQ(::kill(runner.pid(), SIGTERM), 0);
  EXPECT_EQ(runner.Wait(), 42);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(RunTest, CleansUpWhenRuncIsKilled) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  options_.args = {"sh", "-c", "echo up; sleep 1000"};
  RunnerProcess runner(config_, *device, image_config_, options_);
  const std::string pid = std::to_string(runner.pid());
  const auto children =
      ReadWholeFile("/proc/" + pid + "/task/" + pid + "/children", 64 * kKiB);
  ASSERT_TRUE(children.ok());
  const int runc = std::stoi(std::string(AsText(*children)));
  ASSERT_EQ(::kill(runc, SIGKILL), 0);
  EXPECT_EQ(runner.Wait(), 128 + SIGKILL);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(RunTest, EndsWhatIsNotThroughInTime) {
  options_.time_limit = std::chrono::milliseconds(500);
  RunReport report =
      Run({"sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done"});
  EXPECT_TRUE(report.timed_out);
  EXPECT_FALSE(report.error) << report.error->message;
  // The agent here keeps no statistics, which is not to say it read nothing.
  EXPECT_FALSE(report.startup_chunks.ok());
  // Process 1 without a handler does not hear SIGTERM.
  report = Run({"sleep", "1000"});
  EXPECT_TRUE(report.timed_out);
  EXPECT_FALSE(report.error) << report.error->message;
  EXPECT_EQ(report.exit_code, 128 + SIGKILL);
  options_.time_limit = std::chrono::hours(1);
  report = Run({"sh", "-c", "exit 7"});
  EXPECT_FALSE(report.timed_out);
  EXPECT_EQ(report.exit_code, 7);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

// Reads from a terminal until `text` has come.
void ReadUntil(int fd, const std::string& text) {
  std::string seen;
  while (seen.find(text) == std::string::npos) {
    std::array<char, 256> buffer;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    ASSERT_GT(n, 0) << seen;
    seen.append(buffer.data(), static_cast<size_t>(n));
  }
}

TEST_F(RunTest, GivesATerminalThatIsResized) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  options_.terminal = true;
  options_.args = {"sh", "-c",
                   "stty size; until [ \"$(stty size)\" = \"50 120\" ]; do :; "
                   "done; echo resized; exit 4"};
  winsize size{.ws_row = 40, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, &size);
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    auto signals = ForwardedSignals::Block();
    const RunReport report =
        RunContainer({config_, *device, image_config_, options_, *signals});
    ::_exit(report.exit_code);
  }
  const Fd owner(terminal);
  ReadUntil(terminal, "40 100");
  size.ws_row = 50;
  size.ws_col = 120;
  ASSERT_EQ(::ioctl(terminal, TIOCSWINSZ, &size), 0);
  ReadUntil(terminal, "resized");
  EXPECT_EQ(WaitChild({.pid = pid}).value(), 4);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(RunTest, RefusesATerminalWhereThereIsNone) {
  const auto device = Attach("ready");
  ASSERT_TRUE(device.ok());
  options_.terminal = true;
  options_.args = {"echo"};
  auto signals = ForwardedSignals::Block();
  const Fd nothing = OpenFile("/dev/null", O_RDONLY).value();
  const Fd old_in(::dup(0));
  ::dup2(nothing.get(), 0);
  const RunReport report =
      RunContainer({config_, *device, image_config_, options_, *signals});
  ::dup2(old_in.get(), 0);
  EXPECT_EQ(report.exit_code, kRunFailed);
  EXPECT_EQ(report.error->code, Code::kInvalid);
  EXPECT_THAT(Leftovers(), IsEmpty());
}

}  // namespace
}  // namespace morsel
