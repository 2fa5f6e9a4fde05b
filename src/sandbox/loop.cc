// SPDX-License-Identifier: Apache-2.0
#include "sandbox/loop.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace morsel {
namespace {

constexpr uint32_t kBlockSize = 4096;
// The kernel's default of 2,560 KiB loads 20 % more of an image than is used
// (`python3 -c pass`).
constexpr std::string_view kReadAheadKib = "128";
// Someone else may take the free device that we were told of, each time.
constexpr int kAttempts = 64;
constexpr std::string_view kDeletedMark = " (deleted)";

// loop3, of "/dev/loop3".
std::string DeviceName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

Status SetReadAhead(const std::string& path) {
  const std::string file =
      "/sys/block/" + DeviceName(path) + "/queue/read_ahead_kb";
  ASSIGN_OR_RETURN(const Fd fd, OpenFile(file, O_WRONLY));
  RETURN_IF_ERROR_AS(WriteFull(fd.get(), AsBytes(kReadAheadKib)), file);
  return Ok();
}

Result<Fd> OpenLoopControl() {
  Result<Fd> control = OpenFile("/dev/loop-control", O_RDWR);
  if (control.ok()) return control;
  if (control.error().code == Code::kDenied)
    return MakeError(Code::kDenied,
                     "a loop device needs root: " + control.error().message);
  return MakeError(Code::kUnavailable, "the kernel offers no loop devices (" +
                                           control.error().message +
                                           "); try `modprobe loop`");
}

loop_config ConfigFor(int file_fd, const std::string& file_path,
                      bool read_only) {
  loop_config config{};
  config.fd = static_cast<uint32_t>(file_fd);
  config.block_size = kBlockSize;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
  if (read_only) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  const size_t length =
      std::min(file_path.size(), sizeof(config.info.lo_file_name) - 1);
  std::memcpy(config.info.lo_file_name, file_path.data(), length);
  return config;
}

}  // namespace

Result<LoopDevice> LoopDevice::Attach(const std::string& file_path,
                                      bool read_only) {
  ASSIGN_OR_RETURN(const Fd control, OpenLoopControl());
  const int mode = read_only ? O_RDONLY : O_RDWR;
  ASSIGN_OR_RETURN(const Fd file, OpenFile(file_path, mode));
  const loop_config config = ConfigFor(file.get(), file_path, read_only);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return ErrnoError(errno, "find a free loop device");
    const std::string path = "/dev/loop" + std::to_string(number);
    Result<Fd> opened = OpenFile(path, mode);
    if (!opened.ok() && opened.error().code == Code::kNotFound)
      return MakeError(Code::kUnavailable,
                       path +
                           " is free, but /dev has no such file; mount a "
                           "devtmpfs there, or make it by mknod");
    ASSIGN_OR_RETURN(Fd fd, std::move(opened));
    if (::ioctl(fd.get(), LOOP_CONFIGURE, &config) == 0) {
      LoopDevice device(path, std::move(fd));
      RETURN_IF_ERROR(SetReadAhead(path));
      return device;
    }
    if (errno != EBUSY)
      return ErrnoError(errno, "attach " + file_path + " to " + path);
  }
  return MakeError(Code::kExhausted,
                   "no loop device became free; `losetup -l` shows who has "
                   "them");
}

Result<std::vector<LoopInfo>> ListLoopDevices() {
  std::vector<LoopInfo> found;
  std::error_code error;
  // Not a range-for: its increment throws, and devices come and go.
  std::filesystem::directory_iterator entry("/sys/block", error);
  for (; !error && entry != std::filesystem::directory_iterator();
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.compare(0, 4, "loop") != 0) continue;
    // Missing while the device is free, also if it becomes so just now.
    const Result<Bytes> bytes =
        ReadWholeFile(entry->path().string() + "/loop/backing_file", 64 * kKiB);
    if (!bytes.ok()) continue;
    std::string file(AsText(*bytes));
    while (!file.empty() && file.back() == '\n') file.pop_back();
    LoopInfo info{.path = "/dev/" + name, .backing_file = file};
    if (file.size() > kDeletedMark.size() && file.ends_with(kDeletedMark)) {
      info.backing_file.resize(file.size() - kDeletedMark.size());
      info.backing_file_is_deleted = true;
    }
    found.push_back(std::move(info));
  }
  if (error) return MakeError(Code::kIo, "list /sys/block: " + error.message());
  return found;
}

Result<std::vector<LoopInfo>> FindLoopDevices(const std::string& file_path) {
  ASSIGN_OR_RETURN(std::vector<LoopInfo> loops, ListLoopDevices());
  std::erase_if(loops, [&](const LoopInfo& loop) {
    return loop.backing_file != file_path;
  });
  return loops;
}

Status DetachLoopDevice(const std::string& path) {
  ASSIGN_OR_RETURN(const Fd fd, OpenFile(path, O_RDONLY));
  if (::ioctl(fd.get(), LOOP_CLR_FD, 0) == 0) return Ok();
  if (errno == ENXIO)
    return MakeError(Code::kNotFound, path + " has no file attached");
  return ErrnoError(errno, "detach " + path);
}

}  // namespace morsel
