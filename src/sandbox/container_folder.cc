// SPDX-License-Identifier: Apache-2.0
#include "sandbox/container_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "base/process.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxNoteBytes = kMiB;

std::string ContainersDir(const Config& config) {
  return config.RunDir() + "/containers";
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

Status ContainerFolder::DeleteFromRunc() const {
  std::error_code error;
  if (!std::filesystem::exists(runc_root_ + "/" + id_, error)) return Ok();
  std::vector<std::string> command = RuncCommand();
  command.insert(command.end(), {"delete", "--force", id_});
  RETURN_IF_ERROR(RunChecked(command));
  return Ok();
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
