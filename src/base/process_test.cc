// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>

namespace morsel {
namespace {

using ::testing::HasSubstr;

TEST(ProcessTest, RunCommandKeepsBothOutputsAndTheExitCode) {
  const Result<CommandOutput> output =
      RunCommand({"sh", "-c", "echo out; echo err >&2; exit 7"});
  ASSERT_TRUE(output.ok()) << output.error().message;
  EXPECT_EQ(output->out, "out\n");
  EXPECT_EQ(output->err, "err\n");
  EXPECT_EQ(output->exit_code, 7);
}

TEST(ProcessTest, RunCommandDrainsMoreThanAPipeHolds) {
  const Result<CommandOutput> output = RunCommand(
      {"sh", "-c", "head -c 1000000 /dev/zero >&2; head -c 1000000 /dev/zero"});
  ASSERT_TRUE(output.ok());
  EXPECT_EQ(output->out.size(), 1000000U);
  EXPECT_EQ(output->err.size(), 1000000U);
}

TEST(ProcessTest, RunCommandEndsAProgramThatPrintsWithoutEnd) {
  EXPECT_EQ(RunCommand({"yes"}).error().code, Code::kExhausted);
}

TEST(ProcessTest, RunCheckedQuotesTheLastComplaint) {
  EXPECT_EQ(RunChecked({"echo", "a b"}).value(), "a b\n");
  const Result<std::string> failed =
      RunChecked({"sh", "-c", "echo first >&2; echo last >&2; exit 3"});
  EXPECT_EQ(failed.error().code, Code::kIo);
  EXPECT_EQ(failed.error().message, "sh exited with 3: last");
}

TEST(ProcessTest, AProgramThatIsMissingIsNotFound) {
  const Result<CommandOutput> one = RunCommand({"no-such-program-at-all"});
  EXPECT_EQ(one.error().code, Code::kNotFound);
  EXPECT_THAT(one.error().message, HasSubstr("no-such-program-at-all"));
  EXPECT_EQ(RunCommand({"/no/such/program"}).error().code, Code::kNotFound);
  EXPECT_EQ(RunCommand({"/etc/passwd"}).error().code, Code::kDenied);
}

TEST(ProcessTest, ASignalIsReportedAsAShellDoes) {
  EXPECT_EQ(RunCommand({"sh", "-c", "kill -9 $$"})->exit_code, 128 + 9);
}

TEST(ProcessTest, TheEnvironmentIsExtendedAndReplaced) {
  ASSERT_EQ(::setenv("MORSEL_TEST_A", "old", 1), 0);
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const Child child =
      Spawn({.argv = {"sh", "-c", "echo $MORSEL_TEST_A$MORSEL_TEST_B"},
             .env = {"MORSEL_TEST_A=new", "MORSEL_TEST_B=too"},
             .fds = {{writer.get(), 1}}})
          .value();
  writer.Close();
  std::array<std::byte, 64> out;
  const size_t n = ReadUpTo(reader.get(), out).value();
  EXPECT_EQ(AsText(ByteSpan(out).first(n)), "newtoo\n");
  EXPECT_EQ(WaitChild(child).value(), 0);
  ::unsetenv("MORSEL_TEST_A");
}

TEST(ProcessTest, DescriptorsArriveUnderTheirNumbersAndNoOthersDo) {
  // Crossed on purpose: each one's target is the other's source.
  const Fd one = MakeMemoryFile("one", AsBytes("1")).value();
  const Fd two = MakeMemoryFile("two", AsBytes("2")).value();
  // Not close-on-exec, and below the highest target: must not leak either.
  const int leak = ::dup(one.get());
  const Fd leak_owner(leak);
  const std::string script = "cat /proc/self/fd/$A /proc/self/fd/$B >&2; " +
                             std::string("test ! -e /proc/self/fd/$LEAK");
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const Child child = Spawn({.argv = {"sh", "-c", script},
                             .env = {"A=" + std::to_string(two.get()),
                                     "B=" + std::to_string(one.get()),
                                     "LEAK=" + std::to_string(leak)},
                             .fds = {{one.get(), two.get()},
                                     {two.get(), one.get()},
                                     {writer.get(), 2},
                                     {writer.get(), leak + 5}}})
                          .value();
  writer.Close();
  std::array<std::byte, 64> out;
  const size_t n = ReadUpTo(reader.get(), out).value();
  EXPECT_EQ(AsText(ByteSpan(out).first(n)), "12");
  EXPECT_EQ(WaitChild(child).value(), 0);
}

TEST(ProcessTest, ANewSessionLeavesTheCallers) {
  const Child child =
      Spawn({.argv = {"sh", "-c", "test $(ps -o sid= -p $$) -eq $$"},
             .env = {},
             .fds = {},
             .new_session = true})
          .value();
  EXPECT_EQ(WaitChild(child).value(), 0);
}

TEST(ProcessTest, APidIsNamedForGoodByItsStart) {
  const uint64_t own = ProcessStartTicks(::getpid()).value();
  EXPECT_GT(own, 0U);
  EXPECT_TRUE(IsProcessAlive(::getpid(), own));
  EXPECT_FALSE(IsProcessAlive(::getpid(), own + 1));
}

TEST(ProcessTest, AProcessThatHasEndedIsNotAlive) {
  const Child child =
      Spawn({.argv = {"sleep", "1000"}, .env = {}, .fds = {}}).value();
  const uint64_t ticks = ProcessStartTicks(child.pid).value();
  EXPECT_TRUE(IsProcessAlive(child.pid, ticks));
  ASSERT_EQ(::kill(child.pid, SIGKILL), 0);
  // Ended, not yet waited for: a zombie is not alive.
  pollfd ended{child.pidfd.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, -1), 1);
  EXPECT_FALSE(IsProcessAlive(child.pid, ticks));
  EXPECT_EQ(WaitChild(child).value(), 128 + SIGKILL);
  EXPECT_EQ(ProcessStartTicks(child.pid).error().code, Code::kNotFound);
}

TEST(ProcessTest, ProgramFolderIsWhereThisTestLies) {
  const std::string folder = ProgramFolder().value();
  EXPECT_EQ(::access((folder + "/base_test").c_str(), X_OK), 0);
}

}  // namespace
}  // namespace morsel
