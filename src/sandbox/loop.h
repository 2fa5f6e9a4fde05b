// SPDX-License-Identifier: Apache-2.0
// Loop devices: a device's FUSE file (or any file) as a disk of the kernel.
//
// Blocks of 4 KiB with direct I/O, so that every read of the kernel is one
// read of the file and nothing is cached twice. Autoclear is set: the kernel
// itself lets the device go once nobody has it open or mounted, also after a
// kill -9.
//
// Thread safety: a LoopDevice has one owner; the functions are thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

class LoopDevice {
 public:
  // kDenied (needs root), kUnavailable (the kernel has no loop devices),
  // kExhausted (none became free), kNotFound and kIo of `file_path`.
  static Result<LoopDevice> Attach(const std::string& file_path,
                                   bool read_only);
  LoopDevice(LoopDevice&&) noexcept = default;
  LoopDevice& operator=(LoopDevice&&) noexcept = default;
  // Lets the device go, or leaves that to its last user (a mount).
  ~LoopDevice() = default;

  // "/dev/loop3".
  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

 private:
  LoopDevice(std::string path, Fd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  Fd fd_;
};

struct LoopInfo {
  std::string path;          // "/dev/loop3"
  std::string backing_file;  // as the kernel names it
  bool backing_file_is_deleted = false;
};

// Every loop device that has a file behind it.
Result<std::vector<LoopInfo>> ListLoopDevices();
// Those whose file is `file_path`.
Result<std::vector<LoopInfo>> FindLoopDevices(const std::string& file_path);
// Detaches a loop device by its path; while it is mounted or open the kernel
// waits for the last user (then this is Ok too). kNotFound.
Status DetachLoopDevice(const std::string& path);

}  // namespace morsel
