// SPDX-License-Identifier: Apache-2.0
#include "block/stats_device.h"

namespace morsel {
namespace {

class StatsDevice final : public BlockDevice {
 public:
  StatsDevice(std::unique_ptr<BlockDevice> next, DeviceStatsPage& page)
      : next_(std::move(next)), page_(page) {}

  uint64_t size() const override { return next_->size(); }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    page_.Add(DeviceCounter::kReads, 1);
    page_.Add(DeviceCounter::kReadBytes, out.size());
    return Count(next_->Read(offset, out));
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    page_.Add(DeviceCounter::kWrites, 1);
    page_.Add(DeviceCounter::kWriteBytes, bytes.size());
    return Count(next_->Write(offset, bytes));
  }
  Status Flush() override { return Count(next_->Flush()); }
  Status Discard(uint64_t offset, uint64_t length) override {
    page_.Add(DeviceCounter::kWrites, 1);
    return Count(next_->Discard(offset, length));
  }
  Status Zero(uint64_t offset, uint64_t length) override {
    page_.Add(DeviceCounter::kWrites, 1);
    return Count(next_->Zero(offset, length));
  }

 private:
  Status Count(Status status) {
    if (!status.ok()) page_.Add(DeviceCounter::kErrors, 1);
    return status;
  }

  const std::unique_ptr<BlockDevice> next_;
  DeviceStatsPage& page_;
};

}  // namespace

std::unique_ptr<BlockDevice> MakeStatsDevice(std::unique_ptr<BlockDevice> next,
                                             DeviceStatsPage& page) {
  return std::make_unique<StatsDevice>(std::move(next), page);
}

}  // namespace morsel
