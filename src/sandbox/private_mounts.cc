// SPDX-License-Identifier: Apache-2.0
#include "sandbox/private_mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>

#include "sandbox/loop.h"
#include "sandbox/mount.h"

namespace morsel {
namespace {

bool IsInside(std::string_view path, std::string_view dir) {
  if (dir == "/") return path.starts_with('/');
  return path.starts_with(dir) &&
         (path.size() == dir.size() || path[dir.size()] == '/');
}

// The file system of a device, on a loop device of its FUSE file.
bool IsOnOurLoop(const MountInfo& mount, const std::vector<LoopInfo>& loops,
                 const std::string& devices) {
  return std::any_of(loops.begin(), loops.end(), [&](const LoopInfo& loop) {
    return loop.path == mount.source && IsInside(loop.backing_file, devices);
  });
}

// Lets go of what belongs to devices: FUSE files, and the file systems on
// loop devices of them.
Status DropForeignMounts(const Config& config,
                         const std::vector<std::string>& needed_paths) {
  const std::string devices = config.RunDir() + "/devices";
  ASSIGN_OR_RETURN(const std::vector<MountInfo> mounts, ListMounts());
  ASSIGN_OR_RETURN(const std::vector<LoopInfo> loops, ListLoopDevices());
  for (auto mount = mounts.rbegin(); mount != mounts.rend(); ++mount) {
    const bool is_image = IsOnOurLoop(*mount, loops, devices);
    if (!is_image && !IsInside(mount->dir, devices)) continue;
    const bool needed = std::any_of(
        needed_paths.begin(), needed_paths.end(), [&](const std::string& path) {
          return IsInside(path, mount->dir) ||
                 (is_image && IsInside(mount->dir, path));
        });
    if (!needed) ::umount2(mount->dir.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  }
  return Ok();
}

// A folder is found by whatever name its user has for it.
Result<std::vector<std::string>> CanonicalPaths(
    const std::vector<std::string>& paths) {
  std::vector<std::string> canonical;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(std::string one, CanonicalPath(path));
    canonical.push_back(std::move(one));
  }
  return canonical;
}

}  // namespace

Result<PrivateMounts> PrivateMounts::Enter(
    const Config& config, const std::vector<std::string>& needed_paths) {
  ASSIGN_OR_RETURN(const std::vector<std::string> needed,
                   CanonicalPaths(needed_paths));
  ASSIGN_OR_RETURN(Fd outside, OpenFile("/proc/self/ns/mnt", O_RDONLY));
  ASSIGN_OR_RETURN(Fd root, OpenFile("/", O_PATH | O_DIRECTORY));
  if (::unshare(CLONE_NEWNS) != 0)
    return ErrnoError(errno, "make a mount namespace");
  PrivateMounts mounts(std::move(outside), std::move(root));
  // Slaves: mounts that go outside go in here too, never the other way.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return ErrnoError(errno, "make the mounts private");
  RETURN_IF_ERROR(DropForeignMounts(config, needed));
  return mounts;
}

PrivateMounts::~PrivateMounts() {
  const Status ignored = Leave();
  static_cast<void>(ignored);
}

Status PrivateMounts::Leave() {
  if (!outside_) return Ok();
  std::error_code error;
  const auto working_dir = std::filesystem::current_path(error);
  if (::setns(outside_.get(), CLONE_NEWNS) != 0)
    return ErrnoError(errno, "leave the mount namespace");
  outside_.Close();
  // setns moves us to the root of the namespace, which is not ours in a chroot.
  if (::fchdir(root_.get()) != 0 || ::chroot(".") != 0)
    return ErrnoError(errno, "return to the root after the mount namespace");
  root_.Close();
  if (!error) std::filesystem::current_path(working_dir, error);
  return Ok();
}

}  // namespace morsel
