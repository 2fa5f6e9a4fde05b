// SPDX-License-Identifier: Apache-2.0
#include "block/file_device.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "block/device_range.h"
#include "chunk/name.h"

namespace morsel {
namespace {

class FileDevice final : public BlockDevice {
 public:
  FileDevice(Fd file, uint64_t size) : file_(std::move(file)), size_(size) {}

  uint64_t size() const override { return size_; }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    RETURN_IF_ERROR(CheckRange(size_, offset, out.size()));
    return ReadFullAt(file_.get(), offset, out);
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    RETURN_IF_ERROR(CheckRange(size_, offset, bytes.size()));
    return WriteFullAt(file_.get(), offset, bytes);
  }
  Status Flush() override {
    if (::fdatasync(file_.get()) != 0) return ErrnoError(errno, "fdatasync");
    return Ok();
  }
  Status Discard(uint64_t offset, uint64_t length) override {
    return Zero(offset, length);
  }
  Status Zero(uint64_t offset, uint64_t length) override {
    RETURN_IF_ERROR(CheckRange(size_, offset, length));
    if (length == 0) return Ok();
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (::fallocate(file_.get(), mode, static_cast<off_t>(offset),
                    static_cast<off_t>(length)) != 0)
      return ErrnoError(errno, "punch a hole in the device's file");
    return Ok();
  }

 private:
  const Fd file_;
  const uint64_t size_;
};

}  // namespace

Result<std::unique_ptr<BlockDevice>> MakeFileDevice(Fd file) {
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(file.get()));
  if (size % kPageSize != 0)
    return MakeError(Code::kInvalid, "a device's file has " +
                                         std::to_string(size) +
                                         " bytes, no multiple of 4096");
  return std::unique_ptr<BlockDevice>(
      std::make_unique<FileDevice>(std::move(file), size));
}

}  // namespace morsel
