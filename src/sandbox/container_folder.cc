// SPDX-License-Identifier: Apache-2.0
#include "sandbox/container_folder.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <sstream>

#include "base/fd.h"
#include "base/process.h"
#include "sandbox/mount.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxNoteBytes = kMiB;
constexpr int kCgroupAttempts = 100;
constexpr int kCgroupPauseMs = 20;

std::string ContainersDir(const Config& config) {
  return config.RunDir() + "/containers";
}

void KillAllOf(const std::string& cgroup) {
  const Result<Bytes> procs =
      ReadWholeFile(cgroup + "/cgroup.procs", kMaxNoteBytes);
  if (!procs.ok()) return;
  std::istringstream lines{std::string(AsText(*procs))};
  for (pid_t pid = 0; lines >> pid;)
    if (pid > 0) ::kill(pid, SIGKILL);
}

// A group is busy until the last of its killed processes is gone.
Status RemoveCgroup(const std::string& cgroup) {
  for (int attempt = 0; attempt < kCgroupAttempts; ++attempt) {
    if (::rmdir(cgroup.c_str()) == 0 || errno == ENOENT) return Ok();
    if (errno != EBUSY) break;
    KillAllOf(cgroup);
    ::poll(nullptr, 0, kCgroupPauseMs);
  }
  return ErrnoError(errno, "remove the control group " + cgroup);
}

// In every hierarchy: one in version 2, one for each controller in version 1.
Status RemoveCgroups(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<MountInfo> mounts, ListMounts());
  for (const MountInfo& mount : mounts)
    if (mount.type == "cgroup" || mount.type == "cgroup2")
      RETURN_IF_ERROR(RemoveCgroup(mount.dir + path));
  return Ok();
}

}  // namespace

ContainerFolder::ContainerFolder(const Config& config, std::string id)
    : id_(std::move(id)),
      path_(ContainersDir(config) + "/" + id_),
      runc_root_(config.RunDir() + "/runc") {}

Result<std::vector<ContainerFolder>> ContainerFolder::List(
    const Config& config) {
  std::vector<ContainerFolder> folders;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(ContainersDir(config), error))
    folders.emplace_back(config, entry.path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return ErrnoError(error.value(), "list " + ContainersDir(config));
  return folders;
}

std::string CgroupPath(const std::string& container_id) {
  return "/morsel-" + container_id;
}

Result<ContainerFolder> ContainerFolder::Make(const Config& config,
                                              const std::string& device_id) {
  RETURN_IF_ERROR(MakeDirectories(config.RunDir(), 0755));
  RETURN_IF_ERROR(MakeDirectories(ContainersDir(config), 0700));
  ContainerFolder folder(config, device_id);
  RETURN_IF_ERROR(MakeDirectories(folder.path(), 0700));
  RETURN_IF_ERROR(MakeDirectories(folder.rootfs_dir(), 0700));
  Json note;
  note["id"] = folder.id();
  note["device"] = device_id;
  note["runner"] = ProcessMark::OfSelf().ToJson();
  RETURN_IF_ERROR(WriteFileAtomically(folder.path() + "/container.json",
                                      AsBytes(note.Dump(2) + "\n"), 0600,
                                      Durability::kUntilReboot));
  return folder;
}

bool ContainerFolder::IsRunnerAlive() const {
  const Result<Bytes> bytes =
      ReadWholeFile(path_ + "/container.json", kMaxNoteBytes);
  if (!bytes.ok()) return false;
  const Result<Json> note = Json::Parse(AsText(*bytes));
  return note.ok() && ProcessMark::FromJson(*note, "runner").IsAlive();
}

bool ContainerFolder::IsLeftover() const {
  if (IsRunnerAlive()) return false;
  std::error_code error;
  return std::filesystem::exists(path_ + "/container.json", error) ||
         IsOverAMinuteOld(path_);
}

std::vector<std::string> ContainerFolder::RuncCommand() const {
  return {"runc",     "--root",       runc_root_, "--log",
          runc_log(), "--log-format", "json"};
}

Status ContainerFolder::Kill() const {
  // The log says why the container did not start, and nothing else.
  RETURN_IF_ERROR(
      RunChecked({"runc", "--root", runc_root_, "kill", id_, "KILL"}));
  return Ok();
}

Status ContainerFolder::DeleteFromRunc() const {
  std::error_code error;
  if (std::filesystem::exists(runc_root_ + "/" + id_, error)) {
    std::vector<std::string> command = RuncCommand();
    command.insert(command.end(), {"delete", "--force", id_});
    RETURN_IF_ERROR(RunChecked(command));
  }
  // A runc that was killed as it began may not have noted that it made them.
  return RemoveCgroups(CgroupPath(id_));
}

Status ContainerFolder::Remove() const {
  // rmdir of a mount point is EBUSY: nothing in a mounted root is removed.
  if (::rmdir(rootfs_dir().c_str()) != 0 && errno != ENOENT)
    return ErrnoError(errno, "remove " + rootfs_dir());
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) return ErrnoError(error.value(), "remove " + path_);
  return Ok();
}

}  // namespace morsel
