// SPDX-License-Identifier: Apache-2.0
// File descriptors with an owner, and whole-buffer I/O on them.
//
// Every descriptor is opened close-on-exec; who hands one to a child says so.
// Thread safety: Fd is owned by one thread; the functions keep no state.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  ~Fd();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  // Gives the descriptor to the caller, who closes it.
  int Release() { return std::exchange(fd_, -1); }
  void Close();

 private:
  int fd_ = -1;
};

// open(2) and openat(2) with O_CLOEXEC added. Errors: those of ErrnoError.
Result<Fd> OpenFile(const std::string& path, int flags, mode_t mode = 0);
Result<Fd> OpenFileAt(int dir_fd, const std::string& path, int flags,
                      mode_t mode = 0);
// dup(2), close-on-exec.
Result<Fd> Duplicate(int fd);

// Exactly out.size() bytes at `offset`. kCorrupt if the file ends before.
Status ReadFullAt(int fd, uint64_t offset, MutableByteSpan out);
// As many bytes as there are, up to out.size(); 0 at the end.
Result<size_t> ReadUpTo(int fd, MutableByteSpan out);
Status WriteFullAt(int fd, uint64_t offset, ByteSpan bytes);
Status WriteFull(int fd, ByteSpan bytes);

Result<uint64_t> FileSize(int fd);
// The whole file; kExhausted if it is larger than `limit_bytes`.
Result<Bytes> ReadWholeFile(const std::string& path, uint64_t limit_bytes);
// What is still there after a power cut. kUntilReboot: for the run folder,
// whose contents mean nothing after one; it spares two waits for the disk.
enum class Durability { kPowerCut, kUntilReboot };
// Writes `path` whole or not at all: temporary name, fsync, rename, and fsync
// of the folder.
Status WriteFileAtomically(const std::string& path, ByteSpan bytes, mode_t mode,
                           Durability durability = Durability::kPowerCut);

// The one absolute name of what lies at `path`, as the kernel has it: links
// followed, no "." or "..", no slash at the end. What is missing at the end of
// it is taken as it is named. kInvalid if it cannot be followed.
Result<std::string> CanonicalPath(const std::string& path);
// mkdir -p. Folders that it makes get `mode`.
Status MakeDirectories(const std::string& path, mode_t mode);

// An anonymous file in memory (memfd_create), for handing bytes to a child.
Result<Fd> MakeMemoryFile(const std::string& name, ByteSpan bytes);

}  // namespace morsel
