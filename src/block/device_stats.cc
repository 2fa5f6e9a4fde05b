// SPDX-License-Identifier: Apache-2.0
#include "block/device_stats.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <utility>

#include "base/bytes.h"
#include "chunk/name.h"

namespace morsel {
namespace {

static_assert(std::atomic<uint64_t>::is_always_lock_free &&
              sizeof(DeviceStatsPage) ==
                  8 * (1 + kDeviceCounterCount) + 4 * kMaxStartupChunks &&
              sizeof(DeviceStatsPage) <= kPageSize);

std::vector<uint32_t> ReadStartupChunks(ByteSpan words) {
  std::vector<uint32_t> chunks;
  for (size_t i = 0; i < kMaxStartupChunks; ++i) {
    const auto word = LoadLe<uint32_t>(words.data() + 4 * i);
    if (word == 0) break;
    chunks.push_back(word - 1);
  }
  return chunks;
}

}  // namespace

Status InitDeviceStats(int file) {
  std::array<std::byte, sizeof(uint64_t)> magic;
  StoreLe(magic.data(), kDeviceStatsMagic);
  if (::ftruncate(file, 0) != 0 || ::ftruncate(file, kPageSize) != 0)
    return ErrnoError(errno, "size the device's statistics");
  return WriteFullAt(file, 0, magic);
}

Result<MappedDeviceStats> MappedDeviceStats::Map(int file) {
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(file));
  if (size != kPageSize)
    return MakeError(Code::kInvalid, "the device's statistics have " +
                                         std::to_string(size) + " bytes");
  void* const memory =
      ::mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED)
    return ErrnoError(errno, "map the device's statistics");
  return MappedDeviceStats(static_cast<DeviceStatsPage*>(memory));
}

MappedDeviceStats::MappedDeviceStats(MappedDeviceStats&& other) noexcept
    : page_(std::exchange(other.page_, nullptr)) {}

MappedDeviceStats::~MappedDeviceStats() {
  if (page_ != nullptr) ::munmap(page_, kPageSize);
}

Result<DeviceStats> ReadDeviceStats(const std::string& device_dir) {
  const std::string path = device_dir + "/stats";
  ASSIGN_OR_RETURN(const Fd file, OpenFile(path, O_RDONLY));
  std::array<std::byte, sizeof(DeviceStatsPage)> bytes;
  RETURN_IF_ERROR_AS(ReadFullAt(file.get(), 0, bytes), path);
  if (LoadLe<uint64_t>(bytes.data()) != kDeviceStatsMagic)
    return MakeError(Code::kCorrupt,
                     path + " is no statistics file of this version");
  const auto word = [&](DeviceCounter counter) {
    return LoadLe<uint64_t>(bytes.data() +
                            8 * (1 + static_cast<size_t>(counter)));
  };
  return DeviceStats{
      .reads = word(DeviceCounter::kReads),
      .read_bytes = word(DeviceCounter::kReadBytes),
      .writes = word(DeviceCounter::kWrites),
      .write_bytes = word(DeviceCounter::kWriteBytes),
      .errors = word(DeviceCounter::kErrors),
      .cache_hits = word(DeviceCounter::kCacheHits),
      .cache_misses = word(DeviceCounter::kCacheMisses),
      .bytes_loaded = word(DeviceCounter::kBytesLoaded),
      .prefetched = word(DeviceCounter::kPrefetched),
      .chunks_loaded = word(DeviceCounter::kChunksLoaded),
      .startup_chunks = ReadStartupChunks(
          ByteSpan(bytes).subspan(offsetof(DeviceStatsPage, startup_chunks)))};
}

}  // namespace morsel
