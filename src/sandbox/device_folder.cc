// SPDX-License-Identifier: Apache-2.0
#include "sandbox/device_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/random.h"

namespace morsel {
namespace {

constexpr size_t kIdBytes = 8;
constexpr uint64_t kMaxNoteBytes = kMiB;
constexpr uint64_t kMaxLogBytes = 64 * kMiB;
constexpr mode_t kPrivateFolder = 0700;

std::string DevicesDir(const Config& config) {
  return config.RunDir() + "/devices";
}

}  // namespace

DeviceFolder::DeviceFolder(const Config& config, std::string id)
    : id_(std::move(id)), path_(DevicesDir(config) + "/" + id_) {}

Result<std::vector<DeviceFolder>> DeviceFolder::List(const Config& config) {
  std::vector<DeviceFolder> folders;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(DevicesDir(config), error))
    folders.emplace_back(config, entry.path().filename().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return ErrnoError(error.value(), "list " + DevicesDir(config));
  std::sort(folders.begin(), folders.end(),
            [](const auto& a, const auto& b) { return a.id() < b.id(); });
  return folders;
}

Result<DeviceFolder> DeviceFolder::Make(const Config& config) {
  RETURN_IF_ERROR(MakeDirectories(config.RunDir(), 0755));
  RETURN_IF_ERROR(MakeDirectories(DevicesDir(config), kPrivateFolder));
  const DeviceFolder folder(config, RandomHex(SystemRandom(), kIdBytes));
  if (::mkdir(folder.path().c_str(), kPrivateFolder) != 0)
    return ErrnoError(errno, "make the folder " + folder.path());
  RETURN_IF_ERROR(MakeDirectories(folder.fuse_dir(), kPrivateFolder));
  return folder;
}

Status DeviceFolder::Write(const std::string& name, const Json& note) const {
  return WriteFileAtomically(path_ + "/" + name, AsBytes(note.Dump(2) + "\n"),
                             0600, Durability::kUntilReboot);
}

Result<Json> DeviceFolder::Read(const std::string& name) const {
  const std::string file = path_ + "/" + name;
  ASSIGN_OR_RETURN(const Bytes bytes, ReadWholeFile(file, kMaxNoteBytes));
  ASSIGN_OR_RETURN_AS(Json note, Json::Parse(AsText(bytes)), file);
  return note;
}

bool DeviceFolder::IsServed() const {
  const Result<Fd> life = OpenFile(life_path(), O_RDONLY);
  // Shared, so that two who look do not take each other for the agent.
  return life.ok() && ::flock(life->get(), LOCK_SH | LOCK_NB) != 0;
}

std::string DeviceFolder::LastLogLine(std::string_view text) const {
  const Result<Bytes> bytes = ReadWholeFile(log_path(), kMaxLogBytes);
  if (!bytes.ok()) return "";
  std::string_view rest = AsText(*bytes);
  while (!rest.empty()) {
    const size_t begin = rest.rfind('\n') + 1;  // npos + 1 is 0
    const std::string_view line = rest.substr(begin);
    if (!line.empty() && line.find(text) != line.npos) return std::string(line);
    rest = rest.substr(0, begin == 0 ? 0 : begin - 1);
  }
  return "";
}

std::string LogValue(std::string_view line, std::string_view key) {
  const std::string begin = " " + std::string(key) + "=";
  const size_t at = line.find(begin);
  if (at == line.npos) return "";
  std::string_view value = line.substr(at + begin.size());
  if (!value.starts_with('"'))
    return std::string(value.substr(0, value.find(' ')));
  value.remove_prefix(1);
  return std::string(value.substr(0, value.find('"')));
}

Status DeviceFolder::Remove() const {
  // rmdir of a mount point is EBUSY: that keeps us out of a live device.
  if (::rmdir(fuse_dir().c_str()) != 0 && errno != ENOENT) {
    if (errno == EBUSY)
      return MakeError(Code::kExists, fuse_dir() + " is still mounted");
    return ErrnoError(errno, "remove " + fuse_dir());
  }
  std::error_code error;
  std::filesystem::remove_all(path_, error);
  if (error) return ErrnoError(error.value(), "remove " + path_);
  return Ok();
}

bool IsOverAMinuteOld(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return false;
  return SystemClock().UnixSeconds() - info.st_mtim.tv_sec > 60;
}

ProcessMark ProcessMark::OfSelf() {
  const Result<uint64_t> ticks = ProcessStartTicks(::getpid());
  return {.pid = ::getpid(), .start_ticks = ticks.ok() ? *ticks : 0};
}

ProcessMark ProcessMark::FromJson(const Json& note, std::string_view key) {
  const Json* mark = note.Find(key);
  if (mark == nullptr) return {};
  return {.pid = mark->IntOr("pid", 0),
          .start_ticks = static_cast<uint64_t>(mark->IntOr("start_ticks", 0))};
}

Json ProcessMark::ToJson() const {
  Json json;
  json["pid"] = pid;
  json["start_ticks"] = start_ticks;
  return json;
}

bool ProcessMark::IsAlive() const {
  return pid > 0 && IsProcessAlive(static_cast<pid_t>(pid), start_ticks);
}

}  // namespace morsel
