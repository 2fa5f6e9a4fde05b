// SPDX-License-Identifier: Apache-2.0
#include "block/fault_device.h"

#include <atomic>

namespace morsel {
namespace {

constexpr uint64_t kMillion = 1000000;

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014): the n-th number of a seed
// without state but a counter, so that threads need no lock.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

class FaultDevice final : public BlockDevice {
 public:
  FaultDevice(std::unique_ptr<BlockDevice> next, const FaultOptions& options)
      : next_(std::move(next)), options_(options) {}

  uint64_t size() const override { return next_->size(); }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    RETURN_IF_ERROR(Roll("read", options_.read_faults_per_million));
    return next_->Read(offset, out);
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    RETURN_IF_ERROR(Roll("write", options_.write_faults_per_million));
    return next_->Write(offset, bytes);
  }
  Status Flush() override {
    RETURN_IF_ERROR(Roll("flush", options_.flush_faults_per_million));
    return next_->Flush();
  }
  Status Discard(uint64_t offset, uint64_t length) override {
    RETURN_IF_ERROR(Roll("discard", options_.write_faults_per_million));
    return next_->Discard(offset, length);
  }
  Status Zero(uint64_t offset, uint64_t length) override {
    RETURN_IF_ERROR(Roll("zero", options_.write_faults_per_million));
    return next_->Zero(offset, length);
  }

 private:
  Status Roll(const char* what, uint32_t faults_per_million) {
    const uint64_t call = calls_.fetch_add(1, std::memory_order_relaxed);
    if (Mix(options_.seed ^ Mix(call)) % kMillion >= faults_per_million)
      return Ok();
    return MakeError(options_.code, std::string("injected fault: ") + what +
                                        ", call " + std::to_string(call));
  }

  const std::unique_ptr<BlockDevice> next_;
  const FaultOptions options_;
  std::atomic<uint64_t> calls_{0};
};

}  // namespace

std::unique_ptr<BlockDevice> MakeFaultDevice(std::unique_ptr<BlockDevice> next,
                                             const FaultOptions& options) {
  return std::make_unique<FaultDevice>(std::move(next), options);
}

}  // namespace morsel
