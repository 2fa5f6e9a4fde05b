// SPDX-License-Identifier: Apache-2.0
// The devices that need no file: memory, and the decorator that fails.
#include <algorithm>
#include <cstring>
#include <random>

#include "base/mutex.h"
#include "cache/device.h"

namespace morsel {
namespace {

class MemoryDevice final : public CacheDevice {
 public:
  explicit MemoryDevice(uint64_t byte_count) : bytes_(byte_count) {}

  uint64_t size() const override { return bytes_.size(); }
  std::string name() const override { return "memory"; }
  Status Read(uint64_t offset, MutableByteSpan out) override {
    if (offset > size() || out.size() > size() - offset)
      return MakeError(Code::kCorrupt, "memory device: read past its end");
    const MutexLock lock(mutex_);
    std::memcpy(out.data(), bytes_.data() + offset, out.size());
    return Ok();
  }
  Status Write(uint64_t offset, ByteSpan bytes) override {
    if (offset > size() || bytes.size() > size() - offset)
      return MakeError(Code::kExhausted, "memory device: write past its end");
    const MutexLock lock(mutex_);
    std::memcpy(bytes_.data() + offset, bytes.data(), bytes.size());
    return Ok();
  }

 private:
  Mutex mutex_;
  Bytes bytes_;  // its size never changes; the content is under mutex_
};

class FaultCacheDevice final : public CacheDevice {
 public:
  FaultCacheDevice(CacheDevice& next, const CacheFaultOptions& options)
      : next_(next), options_(options), random_(options.seed) {}

  uint64_t size() const override { return next_.size(); }
  std::string name() const override { return next_.name(); }

  Status Read(uint64_t offset, MutableByteSpan out) override {
    if (Draw() < options_.read_faults_per_million) return Injected("read");
    RETURN_IF_ERROR(next_.Read(offset, out));
    if (Draw() < options_.flips_per_million && !out.empty()) {
      const uint64_t bit = DrawBelow(out.size() * 8);
      out[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));
    }
    return Ok();
  }

  Status Write(uint64_t offset, ByteSpan bytes) override {
    if (Draw() < options_.write_faults_per_million) return Injected("write");
    const uint64_t number = NextWrite();
    if (number < options_.writes_until_crash) return next_.Write(offset, bytes);
    if (number == options_.writes_until_crash) {
      const uint64_t blocks = bytes.size() / kBlockBytes;
      const uint64_t part = blocks == 0 ? 0 : DrawBelow(blocks) * kBlockBytes;
      if (part > 0) RETURN_IF_ERROR(next_.Write(offset, bytes.first(part)));
    }
    return Injected("write");
  }

 private:
  static Error Injected(const char* what) {
    return MakeError(Code::kIo,
                     std::string("flash device: injected fault: ") + what);
  }
  uint64_t DrawBelow(uint64_t limit) {
    const MutexLock lock(mutex_);
    return random_() % limit;
  }
  uint64_t Draw() { return DrawBelow(1'000'000); }
  uint64_t NextWrite() {
    const MutexLock lock(mutex_);
    return writes_++;
  }

  CacheDevice& next_;
  const CacheFaultOptions options_;
  Mutex mutex_;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
  uint64_t writes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::unique_ptr<CacheDevice> MakeMemoryDevice(uint64_t byte_count) {
  return std::make_unique<MemoryDevice>(
      RoundDown(byte_count, CacheDevice::kBlockBytes));
}

std::unique_ptr<CacheDevice> MakeFaultCacheDevice(
    CacheDevice& next, const CacheFaultOptions& options) {
  return std::make_unique<FaultCacheDevice>(next, options);
}

}  // namespace morsel
