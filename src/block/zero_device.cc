// SPDX-License-Identifier: Apache-2.0
#include "block/zero_device.h"

#include "block/device_range.h"

namespace morsel {
namespace {

class ZeroDevice final : public BlockDevice {
 public:
  explicit ZeroDevice(uint64_t size) : size_(size) {}

  uint64_t size() const override { return size_; }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    RETURN_IF_ERROR(CheckRange(size_, offset, out.size()));
    std::memset(out.data(), 0, out.size());
    return Ok();
  }
  Status Write(uint64_t, ByteSpan) override { return Refuse(); }
  Status Flush() override { return Ok(); }
  Status Discard(uint64_t, uint64_t) override { return Refuse(); }
  Status Zero(uint64_t, uint64_t) override { return Refuse(); }

 private:
  static Status Refuse() {
    return MakeError(Code::kDenied, "the device of zeros is read only");
  }

  const uint64_t size_;
};

}  // namespace

std::unique_ptr<BlockDevice> MakeZeroDevice(uint64_t size) {
  return std::make_unique<ZeroDevice>(size);
}

}  // namespace morsel
