// SPDX-License-Identifier: Apache-2.0
#include "base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace morsel {

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

Fd::~Fd() { Close(); }

void Fd::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<Fd> OpenFile(const std::string& path, int flags, mode_t mode) {
  return OpenFileAt(AT_FDCWD, path, flags, mode);
}

Result<Fd> OpenFileAt(int dir_fd, const std::string& path, int flags,
                      mode_t mode) {
  const int fd = ::openat(dir_fd, path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoError(errno, "open " + path);
  return Fd(fd);
}

Result<Fd> Duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return ErrnoError(errno, "duplicate a descriptor");
  return Fd(copy);
}

Status ReadFullAt(int fd, uint64_t offset, MutableByteSpan out) {
  while (!out.empty()) {
    const ssize_t n =
        ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "read");
    if (n == 0)
      return MakeError(Code::kCorrupt, "the file ends before its data");
    out = out.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return Ok();
}

Result<size_t> ReadUpTo(int fd, MutableByteSpan out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = ::read(fd, out.data() + done, out.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "read");
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

Status WriteFullAt(int fd, uint64_t offset, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n =
        ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return Ok();
}

Status WriteFull(int fd, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Ok();
}

Result<uint64_t> FileSize(int fd) {
  struct stat info;
  if (::fstat(fd, &info) != 0) return ErrnoError(errno, "stat");
  return static_cast<uint64_t>(info.st_size);
}

Result<Bytes> ReadWholeFile(const std::string& path, uint64_t limit_bytes) {
  ASSIGN_OR_RETURN(Fd fd, OpenFile(path, O_RDONLY));
  Bytes bytes;
  while (true) {
    // Grown as it is read: what /proc and a growing file say of their size
    // is not to be relied on.
    const size_t done = bytes.size();
    const size_t step = done == 0 ? 4096 : done;
    bytes.resize(done + step);
    ASSIGN_OR_RETURN_AS(
        const size_t n,
        ReadUpTo(fd.get(), MutableByteSpan(bytes).subspan(done)), path);
    bytes.resize(done + n);
    if (bytes.size() > limit_bytes)
      return MakeError(Code::kExhausted,
                       path + ": larger than " + HumanSize(limit_bytes));
    if (n < step) return bytes;
  }
}

namespace {

Status SyncParent(const std::string& path) {
  std::string parent = std::filesystem::path(path).parent_path().string();
  if (parent.empty()) parent = ".";
  ASSIGN_OR_RETURN(Fd dir, OpenFile(parent, O_RDONLY | O_DIRECTORY));
  if (::fsync(dir.get()) != 0) return ErrnoError(errno, "fsync " + parent);
  return Ok();
}

Status Fill(int fd, ByteSpan bytes, mode_t mode, Durability durability) {
  RETURN_IF_ERROR(WriteFull(fd, bytes));
  if (::fchmod(fd, mode) != 0) return ErrnoError(errno, "chmod");
  if (durability == Durability::kPowerCut && ::fsync(fd) != 0)
    return ErrnoError(errno, "fsync");
  return Ok();
}

}  // namespace

Status WriteFileAtomically(const std::string& path, ByteSpan bytes, mode_t mode,
                           Durability durability) {
  std::string temporary = path + ".tmp-XXXXXX";
  Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return ErrnoError(errno, "make a temporary file for " + path);
  const Status written = Fill(fd.get(), bytes, mode, durability);
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return Error(written.error()).Wrap(path);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary.c_str());
    return ErrnoError(reason, "rename to " + path);
  }
  return durability == Durability::kPowerCut ? SyncParent(path) : Ok();
}

Result<std::string> CanonicalPath(const std::string& path) {
  std::error_code error;
  const auto canonical = std::filesystem::weakly_canonical(
      std::filesystem::absolute(path, error), error);
  if (error) return MakeError(Code::kInvalid, path + ": " + error.message());
  std::string text = canonical.string();
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

Status MakeDirectories(const std::string& path, mode_t mode) {
  const std::filesystem::path target(path);
  std::filesystem::path made;
  for (const auto& part : target) {
    made /= part;
    if (::mkdir(made.c_str(), mode) == 0 || errno == EEXIST) continue;
    if (errno == EROFS || errno == EACCES || errno == EPERM) {
      const int reason = errno;
      if (std::error_code ignored; std::filesystem::exists(made, ignored))
        continue;
      return ErrnoError(reason, "make the folder " + made.string());
    }
    return ErrnoError(errno, "make the folder " + made.string());
  }
  if (std::error_code ignored; !std::filesystem::is_directory(target, ignored))
    return MakeError(Code::kInvalid, path + " is not a folder");
  return Ok();
}

Result<Fd> MakeMemoryFile(const std::string& name, ByteSpan bytes) {
  Fd fd(::memfd_create(name.c_str(), MFD_CLOEXEC));
  if (!fd) return ErrnoError(errno, "memfd_create " + name);
  RETURN_IF_ERROR(WriteFullAt(fd.get(), 0, bytes));
  return fd;
}

}  // namespace morsel
