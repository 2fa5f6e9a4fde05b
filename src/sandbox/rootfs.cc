// SPDX-License-Identifier: Apache-2.0
#include "sandbox/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>

namespace morsel {
namespace {

// /etc/passwd of the largest installations is below a megabyte.
constexpr uint64_t kMaxTextFileBytes = 4 * kMiB;
// As docker: -1 and what does not fit a signed 32-bit number is refused.
constexpr uint64_t kMaxId = 0x7FFFFFFF;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool IsNumber(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
}

std::optional<uint32_t> ParseId(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      text.empty() || value > kMaxId)
    return std::nullopt;
  return static_cast<uint32_t>(value);
}

struct PasswdEntry {
  std::string name;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string home;
};

// The first entry whose name, or else whose uid, is `wanted`. Lines that are
// not of the form are passed over.
std::optional<PasswdEntry> FindPasswd(std::string_view text,
                                      std::string_view wanted) {
  const bool by_id = IsNumber(wanted);
  for (const std::string_view line : Split(text, '\n')) {
    const auto fields = Split(line, ':');
    if (fields.size() < 6) continue;
    const auto uid = ParseId(fields[2]);
    const auto gid = ParseId(fields[3]);
    if (!uid || !gid || fields[0].empty()) continue;
    if (fields[0] == wanted || (by_id && uid == ParseId(wanted)))
      return PasswdEntry{.name = std::string(fields[0]),
                         .uid = *uid,
                         .gid = *gid,
                         .home = std::string(fields[5])};
  }
  return std::nullopt;
}

std::optional<uint32_t> FindGroup(std::string_view text,
                                  std::string_view wanted) {
  for (const std::string_view line : Split(text, '\n')) {
    const auto fields = Split(line, ':');
    if (fields.size() >= 3 && fields[0] == wanted) return ParseId(fields[2]);
  }
  return std::nullopt;
}

// The groups that list `user` among their members, without `primary`.
std::vector<uint32_t> GroupsOf(std::string_view text, std::string_view user,
                               uint32_t primary) {
  std::vector<uint32_t> gids;
  for (const std::string_view line : Split(text, '\n')) {
    const auto fields = Split(line, ':');
    if (fields.size() < 4) continue;
    const auto members = Split(fields[3], ',');
    if (std::find(members.begin(), members.end(), user) == members.end())
      continue;
    const auto gid = ParseId(fields[2]);
    if (gid && *gid != primary &&
        std::find(gids.begin(), gids.end(), *gid) == gids.end())
      gids.push_back(*gid);
  }
  return gids;
}

Result<uint32_t> NumberOrError(std::string_view text) {
  if (const auto id = ParseId(text)) return *id;
  return MakeError(Code::kInvalid,
                   "the id " + std::string(text) + " is over 2147483647");
}

}  // namespace

Result<Rootfs> Rootfs::Open(const std::string& dir) {
  ASSIGN_OR_RETURN(Fd root, OpenFile(dir, O_PATH | O_DIRECTORY));
  return Rootfs(std::move(root));
}

Result<Fd> OpenBelow(const Fd& dir, const std::string& path, uint64_t flags,
                     uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed meanwhile; the kernel asks to try again.
  for (int attempt = 0; attempt < 16; ++attempt) {
    const long fd =
        ::syscall(SYS_openat2, dir.get(), path.c_str(), &how, sizeof(how));
    if (fd >= 0) return Fd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return ErrnoError(errno, "open " + path + " in the container");
}

Result<Fd> Rootfs::OpenInside(const std::string& path, uint64_t flags) const {
  return OpenBelow(root_, path, flags, RESOLVE_IN_ROOT);
}

Result<std::string> Rootfs::ReadTextFile(const std::string& path) const {
  // Looked at by a path descriptor first: opening a fifo would wait, and
  // opening a device may do anything.
  ASSIGN_OR_RETURN(const Fd found, OpenInside(path, O_PATH));
  struct stat info;
  if (::fstat(found.get(), &info) != 0) return ErrnoError(errno, "stat");
  if (!S_ISREG(info.st_mode))
    return MakeError(Code::kInvalid, path + " of the image is no file");
  if (static_cast<uint64_t>(info.st_size) > kMaxTextFileBytes)
    return MakeError(Code::kInvalid, path + " of the image is too long");
  ASSIGN_OR_RETURN(const Fd fd, OpenInside(path, O_RDONLY | O_NONBLOCK));
  std::string text(static_cast<size_t>(info.st_size), '\0');
  ASSIGN_OR_RETURN_AS(
      const size_t length,
      ReadUpTo(fd.get(), std::as_writable_bytes(std::span(text))), path);
  text.resize(length);
  return text;
}

Result<ContainerUser> Rootfs::LookUpUser(const std::string& spec) const {
  const size_t colon = spec.find(':');
  const bool has_group = colon != std::string::npos;
  const std::string user_part = spec.substr(0, colon);
  const std::string user = user_part.empty() ? "0" : user_part;
  // An image without these files (or with damaged ones) still has numbers.
  const Result<std::string> passwd = ReadTextFile("/etc/passwd");
  const Result<std::string> group = ReadTextFile("/etc/group");
  const std::string passwd_text = passwd.ok() ? *passwd : "";
  const std::string group_text = group.ok() ? *group : "";

  ContainerUser found;
  const auto entry = FindPasswd(passwd_text, user);
  if (entry) {
    found.uid = entry->uid;
    found.gid = entry->gid;
    if (!entry->home.empty()) found.home = entry->home;
    if (!has_group)
      found.additional_gids = GroupsOf(group_text, entry->name, found.gid);
  } else if (IsNumber(user)) {
    ASSIGN_OR_RETURN(found.uid, NumberOrError(user));
  } else {
    return MakeError(Code::kNotFound, "the image's /etc/passwd has no user '" +
                                          user + "'; -u UID works without");
  }
  if (!has_group) return found;
  const std::string wanted = spec.substr(colon + 1);
  if (const auto gid = FindGroup(group_text, wanted)) {
    found.gid = *gid;
  } else if (IsNumber(wanted)) {
    ASSIGN_OR_RETURN(found.gid, NumberOrError(wanted));
  } else {
    return MakeError(Code::kNotFound, "the image's /etc/group has no group '" +
                                          wanted +
                                          "'; -u USER:GID works without");
  }
  return found;
}

Status Rootfs::MakeDirectory(const std::string& path) const {
  std::string made;
  for (const auto& part : std::filesystem::path(path)) {
    if (part == "/" || part.empty() || part == ".") continue;
    const std::string parent = made.empty() ? "/" : made;
    made += "/" + part.string();
    if (part == "..") continue;
    ASSIGN_OR_RETURN_AS(const Fd dir, OpenInside(parent, O_PATH | O_DIRECTORY),
                        "make the folder " + path);
    if (::mkdirat(dir.get(), part.c_str(), 0755) != 0 && errno != EEXIST)
      return ErrnoError(errno, "make the folder " + path + " in the image");
  }
  const Result<Fd> there = OpenInside(path, O_PATH | O_DIRECTORY);
  if (there.ok()) return Ok();
  return MakeError(Code::kInvalid, path + " in the image is no folder");
}

bool Rootfs::Exists(const std::string& path) const {
  return OpenInside(path, O_PATH).ok();
}

}  // namespace morsel
