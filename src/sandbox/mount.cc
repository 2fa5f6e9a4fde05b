// SPDX-License-Identifier: Apache-2.0
#include "sandbox/mount.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "base/process.h"
#include "sandbox/device_folder.h"

namespace morsel {
namespace {

// ext4's superblock: Documentation/filesystems/ext4/super.rst.
constexpr uint64_t kSuperblockOffset = 1024;
constexpr size_t kMagicOffset = 0x38;
constexpr uint16_t kMagic = 0xEF53;
constexpr size_t kCompatOffset = 0x5C;
constexpr uint32_t kHasJournal = 0x4;

// An octal escape of mountinfo ("\040") at `text`, or nothing.
bool UnescapeOctal(std::string_view text, char& out) {
  if (text.size() < 4 || text[0] != '\\') return false;
  unsigned value = 0;
  for (const char c : text.substr(1, 3)) {
    if (c < '0' || c > '7') return false;
    value = value * 8 + static_cast<unsigned>(c - '0');
  }
  out = static_cast<char>(value);
  return true;
}

std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    i += UnescapeOctal(text.substr(i), c) ? 4 : 1;
    out.push_back(c);
  }
  return out;
}

std::vector<std::string_view> SplitWords(std::string_view line) {
  std::vector<std::string_view> words;
  for (size_t begin = 0; begin < line.size();) {
    const size_t end = std::min(line.find(' ', begin), line.size());
    if (end > begin) words.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// Held while a folder is looked at and mounted on, so that of two who mount
// there at once the second finds the first's mount. It is the folder's own that
// is locked, beneath all mounts.
Result<Fd> LockMountPoint(const std::string& dir) {
  std::error_code error;
  if (!std::filesystem::is_directory(dir, error))
    return MakeError(Code::kInvalid, dir + " is not a folder; make it first");
  ASSIGN_OR_RETURN(Fd folder, OpenFile(dir, O_RDONLY | O_DIRECTORY));
  if (::flock(folder.get(), LOCK_EX) != 0)
    return ErrnoError(errno, "lock " + dir);
  return folder;
}

// Whether the folder `dir` is empty, with nothing mounted on it yet.
Status CheckMountPoint(const std::string& dir) {
  ASSIGN_OR_RETURN(const std::vector<MountInfo> mounts, ListMounts());
  for (const MountInfo& mount : mounts)
    if (mount.dir == dir)
      return MakeError(Code::kExists, dir + " has " + mount.source +
                                          " mounted already; umount it first");
  std::error_code error;
  if (!std::filesystem::is_empty(dir, error) || error)
    return MakeError(Code::kInvalid, dir + " is not empty");
  return Ok();
}

// Whether what is seen at `dir` is the file system of `source`, and not another
// that was mounted there since.
Result<bool> IsTopMount(const std::string& dir, const std::string& source) {
  ASSIGN_OR_RETURN(const std::vector<MountInfo> mounts, ListMounts());
  const auto top =
      std::find_if(mounts.rbegin(), mounts.rend(),
                   [&](const MountInfo& mount) { return mount.dir == dir; });
  return top != mounts.rend() && top->source == source;
}

}  // namespace

Status MountExt4(const LoopDevice& loop, const std::string& dir,
                 const MountOptions& options) {
  unsigned long flags = MS_NODEV | MS_NOATIME;
  if (options.read_only) flags |= MS_RDONLY;
  if (options.no_set_uid) flags |= MS_NOSUID;
  // A journal that needs replay cannot be replayed on a read-only device.
  const char* data =
      options.read_only ? "errors=remount-ro,noload" : "errors=remount-ro";
  if (::mount(loop.path().c_str(), dir.c_str(), "ext4", flags, data) == 0)
    return Ok();
  const int reason = errno;
  const std::string what = "mount " + loop.path() + " at " + dir;
  if (reason == EINVAL || reason == EUCLEAN || reason == EIO)
    return MakeError(Code::kCorrupt,
                     what +
                         ": the kernel cannot read it, or found no sound ext4 "
                         "on it; `dmesg` says more");
  return ErrnoError(reason, what);
}

Status EnsureJournal(const LoopDevice& loop) {
  alignas(4096) std::array<std::byte, 4096> block;
  RETURN_IF_ERROR_AS(ReadFullAt(loop.fd(), 0, block), loop.path());
  const std::byte* super = block.data() + kSuperblockOffset;
  if (LoadLe<uint16_t>(super + kMagicOffset) != kMagic)
    return MakeError(Code::kCorrupt, loop.path() + " holds no ext4");
  if ((LoadLe<uint32_t>(super + kCompatOffset) & kHasJournal) != 0) return Ok();
  RETURN_IF_ERROR_AS(RunChecked({"tune2fs", "-J", "size=32", loop.path()}),
                     "give the overlay's file system a journal");
  return Ok();
}

namespace {

Status MountDevice(const AttachedDevice& device, const LoopDevice& loop,
                   const std::string& path) {
  if (!device.overlay.empty() && !device.read_only)
    RETURN_IF_ERROR(EnsureJournal(loop));
  return MountExt4(loop, path,
                   {.read_only = device.read_only, .no_set_uid = true});
}

}  // namespace

Status MountImage(const Config& config, const AttachedDevice& device,
                  const std::string& dir) {
  ASSIGN_OR_RETURN(const std::string path, CanonicalPath(dir));
  ASSIGN_OR_RETURN(const Fd lock, LockMountPoint(path));
  RETURN_IF_ERROR(CheckMountPoint(path));
  ASSIGN_OR_RETURN(const LoopDevice loop,
                   LoopDevice::Attach(device.path, device.read_only));
  const Status mounted = MountDevice(device, loop, path);
  if (!mounted.ok()) return ExplainFailure(config, device, mounted.error());
  const DeviceFolder folder(config, device.id);
  Json note;
  note["dir"] = path;
  note["loop"] = loop.path();
  const Status noted = folder.Write("mount.json", note);
  if (!noted.ok()) ::umount2(path.c_str(), 0);
  return noted;
}

Status UmountImage(const Config& config, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::string path, CanonicalPath(dir));
  ASSIGN_OR_RETURN(const std::vector<DeviceFolder> folders,
                   DeviceFolder::List(config));
  for (const DeviceFolder& folder : folders) {
    const Result<Json> note = folder.Read("mount.json");
    if (!note.ok() || note->StringOr("dir", "") != path) continue;
    ASSIGN_OR_RETURN(const bool is_ours,
                     IsTopMount(path, note->StringOr("loop", "")));
    if (is_ours && ::umount2(path.c_str(), UMOUNT_NOFOLLOW) != 0 &&
        errno != EINVAL) {
      if (errno == EBUSY)
        return MakeError(Code::kExists, path + " is in use; `fuser -vm " +
                                            path + "` shows by whom");
      return ErrnoError(errno, "umount " + path);
    }
    return DetachDevice(config, folder.disk_path());
  }
  return MakeError(Code::kNotFound, "Morsel has mounted nothing at " + path);
}

Result<std::vector<MountInfo>> ListMounts() {
  ASSIGN_OR_RETURN(const Bytes bytes,
                   ReadWholeFile("/proc/self/mountinfo", 64 * kMiB));
  return ParseMountInfo(AsText(bytes));
}

std::vector<MountInfo> ParseMountInfo(std::string_view text) {
  std::vector<MountInfo> mounts;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const auto words = SplitWords(text.substr(begin, end - begin));
    begin = end + 1;
    // proc(5): optional fields end with a single hyphen.
    const auto hyphen = std::find(words.begin(), words.end(), "-");
    if (words.size() < 5 || words.end() - hyphen < 3) continue;
    mounts.push_back({.dir = Unescape(words[4]),
                      .type = Unescape(*(hyphen + 1)),
                      .source = Unescape(*(hyphen + 2))});
  }
  return mounts;
}

}  // namespace morsel
