// SPDX-License-Identifier: Apache-2.0
// CacheDevice: the room of a flash tier, as bytes at offsets. A file, memory,
// or a decorator that fails as it is told.
//
// What was written is what is read, until a crash; of a write that a crash or
// an error cut off, any part may be there, in any order of its blocks.
//
// Thread safety: thread-safe; calls block. One writer at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

class CacheDevice {
 public:
  // Offsets, lengths and memory of every call are multiples of this.
  static constexpr uint64_t kBlockBytes = 4096;

  virtual ~CacheDevice() = default;

  virtual uint64_t size() const = 0;
  // For messages: the path.
  virtual std::string name() const = 0;
  // kIo, kCorrupt (it ends before).
  virtual Status Read(uint64_t offset, MutableByteSpan out) = 0;
  // kIo, kExhausted (the file system is full).
  virtual Status Write(uint64_t offset, ByteSpan bytes) = 0;
};

struct FileDeviceOptions {
  uint64_t max_bytes = 0;  // rounded down to whole blocks
  // O_DIRECT, where the file system has it: the page cache would hold a second
  // copy of what the memory tier holds, and outside of every limit.
  bool direct = true;
};

// The file at `path`, made (0600) if it is not there, its room taken at once.
// It is held under an exclusive lock. A file of another size is cut or grown.
// kUnavailable: another process holds it. kExhausted: the file system has no
// room: lower cache.flash_bytes. kIo, kDenied.
Result<std::unique_ptr<CacheDevice>> OpenFileDevice(
    const std::string& path, const FileDeviceOptions& options);

std::unique_ptr<CacheDevice> MakeMemoryDevice(uint64_t byte_count);

struct CacheFaultOptions {
  uint64_t seed = 1;
  // Of a million calls of each kind, how many fail.
  uint32_t read_faults_per_million = 0;
  uint32_t write_faults_per_million = 0;
  // Of a million reads, in how many one bit is flipped.
  uint32_t flips_per_million = 0;
  // The writes after so many fail, and this one is cut off in its middle.
  uint64_t writes_until_crash = UINT64_MAX;
};

// `next` must outlive it. The same seed and order of calls fail at the same
// calls.
std::unique_ptr<CacheDevice> MakeFaultCacheDevice(
    CacheDevice& next, const CacheFaultOptions& options);

}  // namespace morsel
