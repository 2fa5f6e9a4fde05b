// SPDX-License-Identifier: Apache-2.0
#include "sandbox/doctor.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "base/process.h"
#include "sandbox/agent_process.h"
#include "sandbox/container_folder.h"
#include "sandbox/device.h"
#include "sandbox/device_folder.h"
#include "sandbox/loop.h"
#include "sandbox/mount.h"
#include "sandbox/named_overlay.h"

namespace morsel {
namespace {

using Kind = Finding::Kind;
using Findings = std::vector<Finding>;

// The kernel takes a container's namespace, its mounts and its loop device
// down after the last process has gone, in its own time.
constexpr int kTeardownAttempts = 100;
constexpr int kTeardownPauseMs = 50;

// ---- What the machine lacks.

void LookForFile(const std::string& path, const std::string& purpose,
                 const std::string& suggestion, Findings& found) {
  if (::access(path.c_str(), F_OK) == 0) return;
  found.push_back({.kind = Kind::kMissing,
                   .what = "there is no " + path + ", which " + purpose,
                   .where = path,
                   .suggestion = suggestion});
}

void LookForProgram(const std::string& name, const std::string& purpose,
                    Findings& found) {
  const Result<CommandOutput> output = RunCommand({name, "--version"});
  if (output.ok()) return;
  found.push_back({.kind = Kind::kMissing,
                   .what = "there is no program " + name + ", which " + purpose,
                   .where = name,
                   .suggestion = "apt-get install " +
                                 (name == "tune2fs" ? "e2fsprogs" : name)});
}

void LookForOpenat2(Findings& found) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  const Fd fd(static_cast<int>(
      ::syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how))));
  if (fd) return;
  found.push_back({.kind = Kind::kMissing,
                   .what = "the kernel has no openat2, with which paths of an "
                           "image are resolved",
                   .where = "kernel",
                   .suggestion = "use Linux 6.1 or later"});
}

void LookAtMachine(Findings& found) {
  if (::geteuid() != 0)
    found.push_back({.kind = Kind::kMissing,
                     .what = "this is not root: attach, mount and run need it",
                     .where = "user",
                     .suggestion = "run it with sudo; convert, inspect and "
                                   "verify work without"});
  LookForFile("/dev/fuse", "devices are served by", "modprobe fuse", found);
  LookForFile("/dev/loop-control", "mounts need", "modprobe loop", found);
  LookForProgram("runc", "`morsel run` starts containers with", found);
  LookForProgram("tune2fs", "named overlays get their journal by", found);
  LookForOpenat2(found);
}

// ---- Files that others can read or change.

void LookAtMode(const std::string& path, mode_t forbidden,
                const std::string& what, const std::string& suggestion,
                Findings& found) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0 || (info.st_mode & forbidden) == 0)
    return;
  found.push_back({.kind = Kind::kPermissions,
                   .what = what,
                   .where = path,
                   .suggestion = suggestion + " " + path});
}

// A local cache opens a folder's files as a user of its own.
void LookAtOrigin(const Config& config, Findings& found) {
  std::string path = config.Origin();
  if (path.starts_with("dir:")) path = path.substr(4);
  struct stat info;
  constexpr mode_t kReadable = S_IROTH | S_IXOTH;
  if (::stat(path.c_str(), &info) != 0 ||
      (info.st_mode & kReadable) == kReadable)
    return;
  found.push_back({.kind = Kind::kPermissions,
                   .what = "the local cache, which is another user, cannot "
                           "read the origin (its chunks are encrypted)",
                   .where = path,
                   .suggestion = "chmod 755 " + path});
}

void LookAtPermissions(const Config& config, Findings& found) {
  std::string key_file = config.Text("key_file");
  if (key_file.empty()) key_file = config.StateDir() + "/key";
  LookAtMode(key_file, 0077, "others than its owner have rights on the key",
             "chmod 600", found);
  LookAtMode(config.StateDir(), 0022, "others can change the state folder",
             "chmod 755", found);
  LookAtOrigin(config, found);
  LookAtMode("/etc/morsel/config.toml", 0022, "others can change the config",
             "chmod 644", found);
  LookAtMode(config.RunDir() + "/devices", 0077,
             "others have rights on the devices", "chmod 700", found);
}

// ---- What was left behind.

void LookAtContainers(const Config& config, Findings& found) {
  const auto folders = ContainerFolder::List(config);
  if (!folders.ok()) return;
  for (const ContainerFolder& folder : *folders)
    if (folder.IsLeftover())
      found.push_back({.kind = Kind::kDeadContainer,
                       .what = "the `morsel run` of this container was killed",
                       .where = folder.id(),
                       .suggestion = "morsel doctor ends it and clears it",
                       .fixable = true});
}

// Why a device is of no use any more; "" if it is.
std::string WhyDead(const DeviceFolder& folder,
                    const std::vector<MountInfo>& mounts) {
  const Result<Json> note = folder.Read("device.json");
  if (!note.ok())
    return IsOverAMinuteOld(folder.path()) ? "it has no sound device.json" : "";
  const ProcessMark owner = ProcessMark::FromJson(*note, "owner");
  if (note->BoolOr("starting", false))
    return owner.IsAlive() ? "" : "who started it was killed";
  if (!folder.IsServed()) return "its agent has died";
  const Result<Json> mount = folder.Read("mount.json");
  if (!mount.ok())
    return owner.pid == 0 || owner.IsAlive() ? "" : "who used it was killed";
  const std::string dir = mount->StringOr("dir", "");
  const std::string loop = mount->StringOr("loop", "");
  const bool is_mounted =
      std::any_of(mounts.begin(), mounts.end(), [&](const MountInfo& info) {
        return info.dir == dir && info.source == loop;
      });
  return is_mounted ? "" : "it was mounted at " + dir + " and is no longer";
}

void LookAtDevices(const Config& config, const Findings& containers,
                   Findings& found) {
  const auto folders = DeviceFolder::List(config);
  const auto mounts = ListMounts();
  if (!folders.ok() || !mounts.ok()) return;
  for (const DeviceFolder& folder : *folders) {
    const std::string why = WhyDead(folder, *mounts);
    // The device of a dead container goes with it, in one finding.
    const bool has_container =
        std::any_of(containers.begin(), containers.end(),
                    [&](const Finding& f) { return f.where == folder.id(); });
    if (why.empty() || has_container) continue;
    found.push_back({.kind = Kind::kDeadDevice,
                     .what = "the device is of no use: " + why,
                     .where = folder.id(),
                     .suggestion = "morsel doctor clears it",
                     .fixable = true});
  }
}

void LookAtLoops(const Config& config, Findings& found) {
  const auto loops = ListLoopDevices();
  if (!loops.ok()) return;
  const std::string devices = config.RunDir() + "/devices/";
  for (const LoopInfo& loop : *loops) {
    if (!loop.backing_file.starts_with(devices)) continue;
    const std::string rest = loop.backing_file.substr(devices.size());
    std::error_code error;
    if (std::filesystem::exists(devices + rest.substr(0, rest.find('/')),
                                error))
      continue;
    found.push_back({.kind = Kind::kStrayLoop,
                     .what = "the loop device is on a device that is gone",
                     .where = loop.path,
                     .suggestion = "morsel doctor detaches it",
                     .fixable = true});
  }
}

// A start that was killed between mkdir and meta.json.
void LookAtOverlays(const Config& config, Findings& found) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(OverlaysDir(config), error)) {
    const std::string dir = entry.path().string();
    if (std::filesystem::exists(dir + "/meta.json", error)) continue;
    const Result<Fd> lock = OpenFile(dir + "/lock", O_RDWR);
    if (lock.ok() && ::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) continue;
    found.push_back({.kind = Kind::kUnfinishedOverlay,
                     .what = "the overlay was never made: it has no key",
                     .where = dir,
                     .suggestion = "morsel doctor removes its empty folder",
                     .fixable = true});
  }
}

// ---- Clearing.

// Unmounts what is mounted from the device in our namespace, and lets its
// loop devices go.
void ReleaseUsers(const DeviceFolder& folder) {
  const auto loops = FindLoopDevices(folder.disk_path());
  const auto mounts = ListMounts();
  if (!loops.ok() || !mounts.ok()) return;
  for (const LoopInfo& loop : *loops) {
    for (auto mount = mounts->rbegin(); mount != mounts->rend(); ++mount)
      if (mount->source == loop.path)
        ::umount2(mount->dir.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
    const Status ignored = DetachLoopDevice(loop.path);
    static_cast<void>(ignored);
  }
}

Status ClearDevice(const Config& config, const std::string& id) {
  const DeviceFolder folder(config, id);
  std::error_code error;
  if (!std::filesystem::exists(folder.path(), error)) return Ok();
  Status detached;
  for (int attempt = 0; attempt < kTeardownAttempts; ++attempt) {
    ReleaseUsers(folder);
    const auto loops = FindLoopDevices(folder.disk_path());
    if (loops.ok() && loops->empty()) {
      detached = DetachDevice(config, id);
      if (detached.ok() || detached.error().code != Code::kExists)
        return detached;
    }
    ::poll(nullptr, 0, kTeardownPauseMs);
  }
  // Who still reads gets an error from here on.
  ::umount2(folder.fuse_dir().c_str(),
            MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW);
  return DetachDevice(config, id);
}

Status ClearContainer(const Config& config, const std::string& id) {
  const ContainerFolder folder(config, id);
  const Status ended = folder.DeleteFromRunc();
  RETURN_IF_ERROR(ClearDevice(config, id));
  // A process may have hung in a read of the device, which now has failed.
  if (!ended.ok()) RETURN_IF_ERROR(folder.DeleteFromRunc());
  return folder.Remove();
}

Status ClearOverlay(const std::string& dir) {
  ::unlink((dir + "/lock").c_str());
  if (::rmdir(dir.c_str()) == 0 || errno == ENOENT) return Ok();
  return ErrnoError(errno, "remove " + dir);
}

Status Clear(const Config& config, const Finding& finding) {
  switch (finding.kind) {
    case Kind::kDeadContainer:
      return ClearContainer(config, finding.where);
    case Kind::kDeadDevice:
      return ClearDevice(config, finding.where);
    case Kind::kStrayLoop:
      return DetachLoopDevice(finding.where);
    case Kind::kUnfinishedOverlay:
      return ClearOverlay(finding.where);
    case Kind::kMissing:
    case Kind::kPermissions:
      break;
  }
  return MakeError(Code::kInvalid, "this is left to you");
}

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kMissing:
      return "missing";
    case Kind::kPermissions:
      return "permissions";
    case Kind::kDeadContainer:
      return "dead container";
    case Kind::kDeadDevice:
      return "dead device";
    case Kind::kStrayLoop:
      return "stray loop device";
    case Kind::kUnfinishedOverlay:
      return "unfinished overlay";
  }
  return "";
}

}  // namespace

Json Finding::ToJson() const {
  Json json;
  json["kind"] = KindName(kind);
  json["what"] = what;
  json["where"] = where;
  json["suggestion"] = suggestion;
  json["fixable"] = fixable;
  return json;
}

Result<std::vector<Finding>> Examine(const Config& config) {
  Findings found;
  LookAtMachine(found);
  LookAtPermissions(config, found);
  Findings leftovers;
  LookAtContainers(config, leftovers);
  LookAtDevices(config, Findings(leftovers), leftovers);
  LookAtLoops(config, leftovers);
  LookAtOverlays(config, leftovers);
  found.insert(found.end(), leftovers.begin(), leftovers.end());
  return found;
}

std::vector<Finding> Repair(const Config& config,
                            const std::vector<Finding>& findings) {
  std::vector<Finding> failed;
  for (const Finding& finding : findings) {
    if (!finding.fixable) continue;
    const Status cleared = Clear(config, finding);
    // Gone meanwhile: somebody else cleared it.
    if (cleared.ok() || cleared.error().code == Code::kNotFound) continue;
    failed.push_back(finding);
    failed.back().suggestion = cleared.error().message;
  }
  return failed;
}

}  // namespace morsel
