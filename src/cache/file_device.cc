// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "cache/device.h"

namespace morsel {
namespace {

class FileDevice final : public CacheDevice {
 public:
  FileDevice(Fd file, std::string path, uint64_t size)
      : file_(std::move(file)), path_(std::move(path)), size_(size) {}

  uint64_t size() const override { return size_; }
  std::string name() const override { return path_; }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    RETURN_IF_ERROR_AS(ReadFullAt(file_.get(), offset, out), path_);
    return Ok();
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    RETURN_IF_ERROR_AS(WriteFullAt(file_.get(), offset, bytes), path_);
    return Ok();
  }

 private:
  const Fd file_;
  const std::string path_;
  const uint64_t size_;
};

// A tmpfs, for one, refuses O_DIRECT.
Result<Fd> OpenData(const std::string& path, bool direct) {
  constexpr mode_t kOwnerOnly = 0600;
  if (direct) {
    auto file = OpenFile(path, O_RDWR | O_CREAT | O_DIRECT, kOwnerOnly);
    if (file.ok() || file.error().code != Code::kInvalid) return file;
  }
  return OpenFile(path, O_RDWR | O_CREAT, kOwnerOnly);
}

Status TakeRoom(int fd, const std::string& path, uint64_t size) {
  ASSIGN_OR_RETURN(const uint64_t old_size, FileSize(fd));
  if (old_size > size && ftruncate(fd, static_cast<off_t>(size)) != 0)
    return ErrnoError(errno, "cut " + path);
  while (fallocate(fd, 0, 0, static_cast<off_t>(size)) != 0) {
    if (errno == EINTR) continue;
    // A file system without it: the file grows as it is written.
    if (errno == EOPNOTSUPP && ftruncate(fd, static_cast<off_t>(size)) == 0)
      break;
    return ErrnoError(errno, "take " + HumanSize(size) +
                                 " for the flash tier " + path +
                                 " (make room, or lower its limit)");
  }
  return Ok();
}

}  // namespace

Result<std::unique_ptr<CacheDevice>> OpenFileDevice(
    const std::string& path, const FileDeviceOptions& options) {
  const uint64_t size = RoundDown(options.max_bytes, CacheDevice::kBlockBytes);
  if (size == 0)
    return MakeError(Code::kInvalid, "flash tier " + path + ": no bytes");
  ASSIGN_OR_RETURN(Fd file, OpenData(path, options.direct));
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return MakeError(Code::kUnavailable,
                       "flash tier " + path + ": another process holds it");
    return ErrnoError(errno, "flock " + path);
  }
  RETURN_IF_ERROR(TakeRoom(file.get(), path, size));
  return std::unique_ptr<CacheDevice>(
      std::make_unique<FileDevice>(std::move(file), path, size));
}

}  // namespace morsel
