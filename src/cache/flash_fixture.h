// SPDX-License-Identifier: Apache-2.0
// For the tests: a flash tier over a device that outlives it, as a disk
// outlives a process.
//
// Thread safety: owned by one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "cache/flash_tier.h"
#include "cache/test_clock.h"

namespace morsel {

// Lets a tier own a device that the test goes on to use.
class BorrowedDevice final : public CacheDevice {
 public:
  explicit BorrowedDevice(CacheDevice& device) : device_(device) {}

  uint64_t size() const override { return device_.size(); }
  std::string name() const override { return device_.name(); }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    return device_.Read(offset, out);
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    return device_.Write(offset, bytes);
  }

 private:
  CacheDevice& device_;
};

class FlashFixture : public testing::Test {
 protected:
  void MakeDevice(uint64_t byte_count) {
    tier_.reset();
    device_ = MakeMemoryDevice(byte_count);
  }
  // A restart. With `through`, by way of that decorator of the device.
  void Open(const FlashTierOptions& options, CacheDevice* through = nullptr) {
    tier_.reset();
    auto tier = FlashTier::Open(
        std::make_unique<BorrowedDevice>(through ? *through : *device_),
        options, clock_);
    ASSERT_TRUE(tier.ok()) << tier.error().message;
    tier_ = std::move(tier).value();
  }
  Status Put(std::string_view key, std::string_view text) {
    return tier_->Put(key, {SharedBytes::Copy(text)},
                      FlashTier::WhenFull::kWait);
  }
  std::string TextOf(std::string_view key) {
    const auto found = tier_->Get(key);
    return found.ok() ? std::string(found->value.bytes.text())
                      : std::string(CodeName(found.error().code));
  }

  TestClock clock_;
  std::unique_ptr<CacheDevice> device_;
  std::unique_ptr<FlashTier> tier_;
};

// Small segments and batches, no lingering: much happens in little room.
inline FlashTierOptions SmallFlash() {
  FlashTierOptions options;
  options.segment_bytes = 64 * kKiB;
  options.batch_bytes = 16 * kKiB;
  options.linger = std::chrono::milliseconds(0);
  options.policy.correlated_period = std::chrono::milliseconds(0);
  return options;
}

}  // namespace morsel
