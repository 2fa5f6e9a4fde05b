// SPDX-License-Identifier: Apache-2.0
#include "sandbox/run_options.h"

#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <set>

namespace morsel {
namespace {

// By number: capabilities(7), as of Linux 6.1.
constexpr auto kCapabilities =
    std::to_array<std::string_view>({"CHOWN",
                                     "DAC_OVERRIDE",
                                     "DAC_READ_SEARCH",
                                     "FOWNER",
                                     "FSETID",
                                     "KILL",
                                     "SETGID",
                                     "SETUID",
                                     "SETPCAP",
                                     "LINUX_IMMUTABLE",
                                     "NET_BIND_SERVICE",
                                     "NET_BROADCAST",
                                     "NET_ADMIN",
                                     "NET_RAW",
                                     "IPC_LOCK",
                                     "IPC_OWNER",
                                     "SYS_MODULE",
                                     "SYS_RAWIO",
                                     "SYS_CHROOT",
                                     "SYS_PTRACE",
                                     "SYS_PACCT",
                                     "SYS_ADMIN",
                                     "SYS_BOOT",
                                     "SYS_NICE",
                                     "SYS_RESOURCE",
                                     "SYS_TIME",
                                     "SYS_TTY_CONFIG",
                                     "MKNOD",
                                     "LEASE",
                                     "AUDIT_WRITE",
                                     "AUDIT_CONTROL",
                                     "SETFCAP",
                                     "MAC_OVERRIDE",
                                     "MAC_ADMIN",
                                     "SYSLOG",
                                     "WAKE_ALARM",
                                     "BLOCK_SUSPEND",
                                     "AUDIT_READ",
                                     "PERFMON",
                                     "BPF",
                                     "CHECKPOINT_RESTORE"});

// docker's (and containerd's) default set.
constexpr auto kDefaultCapabilities = std::to_array<std::string_view>(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL",
     "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP",
     "SETUID", "SYS_CHROOT"});

// "net_admin" and "CAP_NET_ADMIN" are "NET_ADMIN".
std::string CanonicalName(std::string_view name) {
  std::string upper;
  for (const char c : name)
    upper.push_back(static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c));
  return upper.starts_with("CAP_") ? upper.substr(4) : upper;
}

// Those of our own bounding set: the kernel lets nobody give more.
void AddAllThatWeMayGive(std::set<std::string>& names) {
  for (size_t number = 0; number < kCapabilities.size(); ++number)
    if (::prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1)
      names.emplace(kCapabilities[number]);
}

// The names in `wanted`, "ALL" spelled out.
Result<std::set<std::string>> Resolve(const std::vector<std::string>& wanted) {
  std::set<std::string> names;
  for (const std::string& text : wanted) {
    const std::string name = CanonicalName(text);
    if (name == "ALL") {
      AddAllThatWeMayGive(names);
    } else if (std::find(kCapabilities.begin(), kCapabilities.end(), name) !=
               kCapabilities.end()) {
      names.insert(name);
    } else {
      return MakeError(Code::kInvalid, "'" + text +
                                           "' is no capability; see "
                                           "capabilities(7)");
    }
  }
  return names;
}

}  // namespace

Result<BindMount> BindMount::Parse(std::string_view text) {
  const std::string whole(text);
  const auto wrong = [&](std::string_view why) {
    return MakeError(Code::kInvalid, "-v " + whole + ": " + std::string(why) +
                                         "; HOST:CONTAINER[:ro] is expected");
  };
  const size_t first = text.find(':');
  if (first == std::string_view::npos) return wrong("there is no ':'");
  BindMount bind;
  bind.host_path = text.substr(0, first);
  std::string_view rest = text.substr(first + 1);
  if (const size_t second = rest.find(':'); second != rest.npos) {
    const std::string_view option = rest.substr(second + 1);
    if (option != "ro" && option != "rw")
      return wrong("'" + std::string(option) + "' is neither ro nor rw");
    bind.read_only = option == "ro";
    rest = rest.substr(0, second);
  }
  bind.container_path = rest;
  if (!bind.host_path.starts_with('/') || !bind.container_path.starts_with('/'))
    return wrong("both paths must be absolute");
  if (bind.container_path.find_first_not_of("/.") == std::string::npos)
    return wrong("the container's own root cannot be replaced");
  return bind;
}

Result<std::vector<std::string>> EffectiveCapabilities(
    const std::vector<std::string>& add, const std::vector<std::string>& drop) {
  ASSIGN_OR_RETURN(const std::set<std::string> added, Resolve(add));
  ASSIGN_OR_RETURN(const std::set<std::string> dropped, Resolve(drop));
  std::set<std::string> names(kDefaultCapabilities.begin(),
                              kDefaultCapabilities.end());
  for (const std::string& name : dropped) names.erase(name);
  names.insert(added.begin(), added.end());
  std::vector<std::string> result;
  for (const std::string& name : names) result.push_back("CAP_" + name);
  return result;
}

}  // namespace morsel
