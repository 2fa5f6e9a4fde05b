// SPDX-License-Identifier: Apache-2.0
#include "frontend/guard_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace morsel {
namespace {

constexpr uint64_t kMaxStateBytes = 64 * kKiB;

// The members that are descriptors, and their names.
struct NamedFd {
  const char* name;
  int GuardState::*fd;
};
constexpr std::array<NamedFd, 10> kFds = {
    {{"fuse", &GuardState::fuse},
     {"slots", &GuardState::slots},
     {"stats", &GuardState::stats},
     {"overlay_data", &GuardState::overlay_data},
     {"overlay_map", &GuardState::overlay_map},
     {"overlay_key", &GuardState::overlay_key},
     {"overlay_witness", &GuardState::overlay_witness},
     {"arena", &GuardState::arena},
     {"control", &GuardState::control},
     {"reply", &GuardState::reply}}};
struct NamedLink {
  const char* name;
  GuardState::Link GuardState::*link;
};
constexpr std::array<NamedLink, 3> kLinks = {{{"child", &GuardState::child},
                                              {"twin", &GuardState::twin},
                                              {"cache", &GuardState::cache}}};

// Every other descriptor ends with the exec.
void Keep(int fd) {
  if (fd >= 0) ::fcntl(fd, F_SETFD, 0);
}

// -1 if it is not there. Close-on-exec again.
int Take(const Json& json, std::string_view key) {
  const auto number = static_cast<int>(json.IntOr(key, -1));
  if (number < 0 || ::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) return -1;
  return number;
}

}  // namespace

Json GuardState::ToJson() const {
  Json json;
  json["version"] = kVersion;
  for (const NamedFd& item : kFds) json[item.name] = this->*item.fd;
  for (const NamedLink& item : kLinks) {
    const Link& link = this->*item.link;
    Json part;
    part["pid"] = link.pid;
    part["pidfd"] = link.pidfd;
    part["socket"] = link.socket;
    json[item.name] = part;
  }
  return json;
}

Error GuardState::Exec(const std::string& program) const {
  Result<Fd> file =
      MakeMemoryFile("morsel-guard-state", AsBytes(ToJson().Dump()));
  if (!file.ok()) return file.error();
  for (const NamedFd& item : kFds) Keep(this->*item.fd);
  for (const NamedLink& item : kLinks) {
    Keep((this->*item.link).pidfd);
    Keep((this->*item.link).socket);
  }
  Keep(file->get());
  std::string name = "morsel-agent";
  std::string option = "--resume";
  std::string number = std::to_string(file->get());
  std::array<char*, 4> argv = {name.data(), option.data(), number.data(),
                               nullptr};
  ::execve(program.c_str(), argv.data(), environ);
  return ErrnoError(errno, "execute " + program);
}

Result<GuardState> GuardState::Inherit(int number) {
  const Fd file(number);
  ASSIGN_OR_RETURN_AS(const uint64_t size, FileSize(number),
                      "the guard's state");
  if (size > kMaxStateBytes)
    return MakeError(Code::kInvalid, "the guard's state is too large");
  Bytes text(size);
  RETURN_IF_ERROR(ReadFullAt(number, 0, text));
  ASSIGN_OR_RETURN_AS(const Json json, Json::Parse(AsText(text)),
                      "the guard's state");
  const int64_t version = json.IntOr("version", 0);
  if (version != kVersion)
    return MakeError(Code::kInvalid,
                     "the running guard is of another version (" +
                         std::to_string(version) + ", known is " +
                         std::to_string(kVersion) +
                         "); detach the device and attach it again");
  GuardState state;
  for (const NamedFd& item : kFds) state.*item.fd = Take(json, item.name);
  for (const NamedLink& item : kLinks) {
    const Json* const part = json.Find(item.name);
    if (part == nullptr)
      return MakeError(Code::kInvalid, "the guard's state is damaged");
    Link& link = state.*item.link;
    link.pid = static_cast<int>(part->IntOr("pid", -1));
    link.pidfd = Take(*part, "pidfd");
    link.socket = Take(*part, "socket");
  }
  if (state.fuse < 0 || state.slots < 0 || state.stats < 0)
    return MakeError(Code::kInvalid, "the guard's state is damaged");
  return state;
}

}  // namespace morsel
