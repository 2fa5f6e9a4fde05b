// SPDX-License-Identifier: Apache-2.0
#include "sandbox/seccomp_profile.h"

#include <gtest/gtest.h>

#include <set>

#include "base/fd.h"
#include "sandbox/run_options.h"

namespace morsel {
namespace {

// Every call of an allowing rule of `profile` that has no conditions.
std::set<std::string> AllowedBy(const Json& profile) {
  std::set<std::string> names;
  for (const Json& rule : *profile.Find("syscalls")->AsArray()) {
    const Json* args = rule.Find("args");
    const bool conditional = args != nullptr && args->AsArray() != nullptr &&
                             !args->AsArray()->empty();
    if (rule.StringOr("action", "") != "SCMP_ACT_ALLOW" || conditional)
      continue;
    for (const Json& name : *rule.Find("names")->AsArray())
      EXPECT_TRUE(names.insert(*name.AsString()).second ||
                  profile.Find("defaultErrno") != nullptr)
          << *name.AsString();
  }
  return names;
}

TEST(SeccompProfile, RefusesWhatIsNotListed) {
  const Json profile = SeccompProfile({});
  EXPECT_EQ(profile.StringOr("defaultAction", ""), "SCMP_ACT_ERRNO");
  EXPECT_EQ(profile.IntOr("defaultErrnoRet", 0), 1);
  const auto allowed = AllowedBy(profile);
  EXPECT_GT(allowed.size(), 300U);
  EXPECT_TRUE(allowed.contains("execve"));
  for (const char* name : {"mount", "bpf", "kexec_load", "keyctl", "unshare",
                           "io_uring_setup", "init_module", "reboot", "clone3",
                           "userfaultfd", "open_by_handle_at", "ptrace_x"})
    EXPECT_FALSE(allowed.contains(name)) << name;
}

TEST(SeccompProfile, AllowsWithACapabilityWhatItIsFor) {
  EXPECT_TRUE(AllowedBy(SeccompProfile({"CAP_SYS_ADMIN"})).contains("mount"));
  EXPECT_TRUE(AllowedBy(SeccompProfile({"CAP_SYS_ADMIN"})).contains("clone3"));
  EXPECT_TRUE(AllowedBy(SeccompProfile({"CAP_SYS_TIME"})).contains("stime"));
  EXPECT_FALSE(AllowedBy(SeccompProfile({"CAP_SYS_TIME"})).contains("mount"));
}

TEST(SeccompProfile, ListsNoCallTwiceWithEveryCapability) {
  const auto all = EffectiveCapabilities({"ALL"}, {});
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(AllowedBy(SeccompProfile(*all)).contains("bpf"));
}

// The list that Debian ships for podman is the model: what it allows without
// a condition we allow to someone, but for what docker leaves out.
TEST(SeccompProfile, AgreesWithTheListOfPodman) {
  const auto bytes = ReadWholeFile("/usr/share/containers/seccomp.json", kMiB);
  if (!bytes.ok()) GTEST_SKIP() << "needs golang-github-containers-common";
  const auto podman = Json::Parse(AsText(*bytes));
  ASSERT_TRUE(podman.ok());
  const auto all = EffectiveCapabilities({"ALL"}, {});
  const auto ours = AllowedBy(SeccompProfile(*all));
  const std::set<std::string> left_out = {
      // Keys of the kernel are not per container.
      "keyctl",
      // Root moves are for runtimes; old names without a use.
      "pivot_root", "syscall", "timerfd", "query_module",
      // Allowed on conditions.
      "clone", "personality", "socket",
      // Of architectures that Morsel is not built for.
      "s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"};
  for (const std::string& name : AllowedBy(*podman))
    EXPECT_TRUE(ours.contains(name) || left_out.contains(name)) << name;
}

}  // namespace
}  // namespace morsel
