// SPDX-License-Identifier: Apache-2.0
// The counters of a device: written by the agent's child, read by the tool
// while the device runs, through a file of one page that both map.
//
// The file is DEVICE_DIR/stats (made by the guard, 0600): a magic number, then
// one 64-bit little endian word for each counter, in the order below, then the
// startup profile: the indexes of the chunks that were read first, in order,
// each as a 32-bit word plus 1; the first 0 ends it.
//
// Thread safety: counters are relaxed atomics; a reading is not a snapshot.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "manifest/manifest.h"

namespace morsel {

enum class DeviceCounter : size_t {
  kReads,
  kReadBytes,
  kWrites,
  kWriteBytes,
  kErrors,
  kCacheHits,
  kCacheMisses,
  kBytesLoaded,   // ciphertext that was not in the local cache
  kPrefetched,    // chunks of it that were asked for ahead
  kChunksLoaded,  // chunks of it in all
  kCount,
};
inline constexpr size_t kDeviceCounterCount =
    static_cast<size_t>(DeviceCounter::kCount);
inline constexpr uint64_t kDeviceStatsMagic = 0x324154534c53524d;  // MRSLSTA2

// The page as it lies in the file.
struct DeviceStatsPage {
  std::atomic<uint64_t> magic;
  std::array<std::atomic<uint64_t>, kDeviceCounterCount> counters;
  std::array<std::atomic<uint32_t>, kMaxStartupChunks> startup_chunks;

  std::atomic<uint64_t>& Of(DeviceCounter counter) {
    return counters[static_cast<size_t>(counter)];
  }
  void Add(DeviceCounter counter, uint64_t amount) {
    Of(counter).fetch_add(amount, std::memory_order_relaxed);
  }
};

// What the tool sees.
struct DeviceStats {
  uint64_t reads = 0;
  uint64_t read_bytes = 0;
  uint64_t writes = 0;
  uint64_t write_bytes = 0;
  uint64_t errors = 0;
  uint64_t cache_hits = 0;
  uint64_t cache_misses = 0;
  uint64_t bytes_loaded = 0;
  uint64_t prefetched = 0;     // chunks
  uint64_t chunks_loaded = 0;  // those among them
  std::vector<uint32_t> startup_chunks;
};

// Sizes `file` to one page of zeros behind the magic. For the guard.
Status InitDeviceStats(int file);

// The page, mapped for as long as this lives. For the child.
class MappedDeviceStats {
 public:
  static Result<MappedDeviceStats> Map(int file);
  MappedDeviceStats(MappedDeviceStats&& other) noexcept;
  MappedDeviceStats& operator=(MappedDeviceStats&&) = delete;
  ~MappedDeviceStats();

  DeviceStatsPage& page() const { return *page_; }

 private:
  explicit MappedDeviceStats(DeviceStatsPage* page) : page_(page) {}

  DeviceStatsPage* page_;
};

// kNotFound if there is no such device (any more), kCorrupt if the file is
// none of this version.
Result<DeviceStats> ReadDeviceStats(const std::string& device_dir);

}  // namespace morsel
