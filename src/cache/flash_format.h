// SPDX-License-Identifier: Apache-2.0
// What the flash tier writes: segments and records (docs/formats.md, "Flash
// tier").
//
// The device is a ring of `segment_count` segments of `segment_bytes`. The
// segment with the number `id` (1, 2, ...) lies at slot id % segment_count; its
// first block is its header. Records follow each other without gaps, each
// beginning on 64 bytes: a header of 64 bytes, the key, the value. A batch of
// records is filled up to a whole block with a record of padding. A record
// names its segment's id, so that what an earlier lap left behind is no record.
//
// All of it is checked before it is used: a disk may hold anything.
//
// Thread safety: free functions and values.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "cache/device.h"
#include "cache/value.h"

namespace morsel {

inline constexpr uint64_t kFlashBlockBytes = CacheDevice::kBlockBytes;
inline constexpr uint64_t kRecordAlignBytes = 64;
inline constexpr uint64_t kRecordHeaderBytes = 64;
inline constexpr uint64_t kMaxRecordHeadBytes =
    kRecordHeaderBytes + kMaxCacheKeyBytes;

struct FlashGeometry {
  uint64_t segment_bytes = 0;  // whole blocks
  uint32_t segment_count = 0;

  // At least 4 segments of at most `segment_bytes`. kInvalid: they would be
  // smaller than 32 KiB, or larger than 2 GiB.
  static Result<FlashGeometry> ForDevice(uint64_t device_bytes,
                                         uint64_t segment_bytes);

  uint32_t SlotOf(uint64_t id) const {
    return static_cast<uint32_t>(id % segment_count);
  }
  uint64_t OffsetOf(uint64_t id) const { return SlotOf(id) * segment_bytes; }
  // For records, in each segment.
  uint64_t room_bytes() const { return segment_bytes - kFlashBlockBytes; }
};

// The first block of segment `id`.
void EncodeSegmentHeader(const FlashGeometry& geometry, uint64_t id,
                         MutableByteSpan block);
// The id of the segment, if it is one of this geometry at this slot.
std::optional<uint64_t> ParseSegmentHeader(const FlashGeometry& geometry,
                                           uint32_t slot, ByteSpan block);

enum class RecordKind : uint8_t {
  kValue = 1,
  kTombstone = 2,  // the key is gone
  kClear = 3,      // every key with a lower sequence is gone
  kPadding = 4,    // value_length bytes without a meaning
};

struct RecordHeader {
  RecordKind kind = RecordKind::kValue;
  uint16_t key_length = 0;
  uint32_t value_length = 0;
  uint32_t value_crc = 0;  // CRC32C
  uint32_t flags = 0;
  uint64_t segment_id = 0;
  uint64_t sequence = 0;  // the highest one of a key is its value
  uint64_t cas = 0;
  int64_t expires_unix = 0;

  // On the device, with the gap up to the next record.
  uint64_t total_bytes() const {
    return RoundUp(kRecordHeaderBytes + key_length + value_length,
                   kRecordAlignBytes);
  }
  uint64_t value_offset() const { return kRecordHeaderBytes + key_length; }
};

// Requires: `out` holds header and key; header.key_length is the key's.
void EncodeRecordHead(const RecordHeader& header, std::string_view key,
                      MutableByteSpan out);

struct RecordHead {
  RecordHeader header;
  std::string_view key;  // into the bytes that were parsed
};
// The head of a record at the front of `bytes`, which may end behind the key.
// Nothing if there is none: its checksum covers header and key.
std::optional<RecordHead> ParseRecordHead(ByteSpan bytes);

}  // namespace morsel
