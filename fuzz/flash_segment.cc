// SPDX-License-Identifier: Apache-2.0
// Any bytes as the first segment of a flash device: the reader must end, and
// what it accepts must lie within the segment, one record after the other. Then
// a tier is opened on them, which must serve only what fits its checksums.
// Where the input has room for it, checksums are mended first, so that more
// than the first check is reached.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/check.h"
#include "cache/flash_scan.h"
#include "cache/flash_tier.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr uint64_t kSegmentBytes = 32 * kKiB;
constexpr uint64_t kSegments = 4;
constexpr uint64_t kId = 4;  // at slot 0

// Gives records that begin where the one before ends the checksum, the magic
// and the segment that they need.
void Mend(MutableByteSpan records) {
  size_t at = 0;
  while (at + kMaxRecordHeadBytes <= records.size()) {
    std::byte* const head = records.data() + at;
    StoreLe<uint32_t>(head, 0x3143524d);
    StoreLe<uint64_t>(head + 8, kId);
    const auto key_length =
        static_cast<uint16_t>(LoadLe<uint16_t>(head + 32) % 251);
    StoreLe<uint16_t>(head + 32, key_length);
    StoreLe<uint32_t>(head + 24, LoadLe<uint32_t>(head + 24) % 5000);
    StoreLe<uint32_t>(head + 4,
                      Crc32c({head + 8, kRecordHeaderBytes - 8 + key_length}));
    at += RoundUp(kRecordHeaderBytes + key_length + LoadLe<uint32_t>(head + 24),
                  kRecordAlignBytes);
  }
}

void Scan(CacheDevice& device, const FlashGeometry& geometry, bool check_values,
          std::vector<std::string>& keys) {
  uint64_t end = kFlashBlockBytes;
  const auto scanned = ScanSegment(
      device, geometry, kId, check_values, [&](const ScannedRecord& record) {
        CHECK(record.offset >= end && record.offset % kRecordAlignBytes == 0);
        end = record.offset + record.header.total_bytes();
        CHECK(end <= geometry.segment_bytes);
        CHECK(record.key.size() <= kMaxCacheKeyBytes);
        keys.emplace_back(record.key);
      });
  CHECK(scanned.ok());
  for (const uint32_t torn : scanned->torn)
    CHECK(torn >= end && torn < geometry.segment_bytes);
}

void FuzzOne(ByteSpan input) {
  if (input.empty()) return;
  auto device = MakeMemoryDevice(kSegmentBytes * kSegments);
  const FlashGeometry geometry =
      FlashGeometry::ForDevice(device->size(), kSegmentBytes).value();
  Bytes segment(kSegmentBytes);
  EncodeSegmentHeader(geometry, kId,
                      MutableByteSpan(segment).first(kFlashBlockBytes));
  const MutableByteSpan records =
      MutableByteSpan(segment).subspan(kFlashBlockBytes);
  const size_t size = std::min(input.size() - 1, records.size());
  if (size > 0) std::memcpy(records.data(), input.data() + 1, size);
  if ((input[0] & std::byte{1}) != std::byte{0}) Mend(records);
  CHECK(device->Write(0, segment).ok());
  std::vector<std::string> keys;
  Scan(*device, geometry, false, keys);
  Scan(*device, geometry, true, keys);
  FlashTierOptions options;
  options.segment_bytes = kSegmentBytes;
  const auto tier = FlashTier::Open(std::move(device), options, SystemClock());
  CHECK(tier.ok());
  for (const std::string& key : keys) {
    const auto found = (*tier)->Get(key);
    CHECK(found.ok() || found.error().code == Code::kNotFound ||
          found.error().code == Code::kCorrupt);
  }
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  morsel::FuzzOne(std::as_bytes(std::span(data, size)));
  return 0;
}
