// SPDX-License-Identifier: Apache-2.0
#include "cache/flash_format.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr uint64_t kSegmentMagic = 0x3148534c46534d4d;  // "MMSFLSH1"
constexpr uint32_t kVersion = 1;
constexpr uint32_t kRecordMagic = 0x3143524d;  // "MRC1"
constexpr uint64_t kMinSegmentBytes = 32 * kKiB;
constexpr uint64_t kMaxSegmentBytes = 2 * kGiB;
constexpr uint64_t kMinSegments = 4;

// The segment header: magic, version, CRC32C of the fields behind it, segment
// size, number of segments, a zero, id.
constexpr size_t kSegmentVersionAt = 8, kSegmentCrcAt = 12;
constexpr size_t kSegmentFieldsAt = 16, kSegmentFieldsEnd = 40;
constexpr size_t kSegmentBytesAt = 16, kSegmentCountAt = 24, kSegmentIdAt = 32;

// The record header: magic, CRC32C of all behind it and of the key, and so on.
constexpr size_t kCrcAt = 4, kFieldsAt = 8;
constexpr size_t kSegmentAt = 8, kSequenceAt = 16, kValueLengthAt = 24;
constexpr size_t kValueCrcAt = 28, kKeyLengthAt = 32, kKindAt = 34;
constexpr size_t kFlagsAt = 36, kCasAt = 40, kExpiresAt = 48;

bool IsPlausible(const RecordHeader& header) {
  switch (header.kind) {
    case RecordKind::kValue:
      return header.key_length > 0 &&
             header.value_length <= kMaxCacheValueBytes;
    case RecordKind::kTombstone:
      return header.key_length > 0 && header.value_length == 0;
    case RecordKind::kClear:
      return header.key_length == 0 && header.value_length == 0;
    case RecordKind::kPadding:
      return header.key_length == 0 && header.value_length < kFlashBlockBytes;
  }
  return false;
}

}  // namespace

Result<FlashGeometry> FlashGeometry::ForDevice(uint64_t device_bytes,
                                               uint64_t segment_bytes) {
  FlashGeometry geometry;
  const uint64_t wanted = std::max<uint64_t>(segment_bytes, 1);
  const uint64_t count =
      std::max(kMinSegments, (device_bytes + wanted - 1) / wanted);
  geometry.segment_bytes = RoundDown(device_bytes / count, kFlashBlockBytes);
  geometry.segment_count = static_cast<uint32_t>(count);
  if (geometry.segment_bytes < kMinSegmentBytes ||
      geometry.segment_bytes > kMaxSegmentBytes || count > UINT32_MAX)
    return MakeError(Code::kInvalid,
                     "flash tier: " + HumanSize(device_bytes) +
                         " in segments of " + HumanSize(segment_bytes) +
                         ": there are at least 4, of 32 KiB to 2 GiB each");
  return geometry;
}

void EncodeSegmentHeader(const FlashGeometry& geometry, uint64_t id,
                         MutableByteSpan block) {
  CHECK(block.size() == kFlashBlockBytes);
  std::fill(block.begin(), block.end(), std::byte{0});
  std::byte* const at = block.data();
  StoreLe<uint64_t>(at, kSegmentMagic);
  StoreLe<uint32_t>(at + kSegmentVersionAt, kVersion);
  StoreLe<uint64_t>(at + kSegmentBytesAt, geometry.segment_bytes);
  StoreLe<uint32_t>(at + kSegmentCountAt, geometry.segment_count);
  StoreLe<uint64_t>(at + kSegmentIdAt, id);
  StoreLe<uint32_t>(
      at + kSegmentCrcAt,
      Crc32c(block.subspan(kSegmentFieldsAt,
                           kSegmentFieldsEnd - kSegmentFieldsAt)));
}

std::optional<uint64_t> ParseSegmentHeader(const FlashGeometry& geometry,
                                           uint32_t slot, ByteSpan block) {
  CHECK(block.size() == kFlashBlockBytes);
  const std::byte* const at = block.data();
  const auto id = LoadLe<uint64_t>(at + kSegmentIdAt);
  const uint32_t crc = Crc32c(
      block.subspan(kSegmentFieldsAt, kSegmentFieldsEnd - kSegmentFieldsAt));
  const bool is_ours =
      LoadLe<uint64_t>(at) == kSegmentMagic &&
      LoadLe<uint32_t>(at + kSegmentVersionAt) == kVersion &&
      LoadLe<uint32_t>(at + kSegmentCrcAt) == crc &&
      LoadLe<uint64_t>(at + kSegmentBytesAt) == geometry.segment_bytes &&
      LoadLe<uint32_t>(at + kSegmentCountAt) == geometry.segment_count &&
      id != 0 && geometry.SlotOf(id) == slot;
  if (!is_ours) return std::nullopt;
  return id;
}

void EncodeRecordHead(const RecordHeader& header, std::string_view key,
                      MutableByteSpan out) {
  CHECK(key.size() == header.key_length &&
        out.size() >= kRecordHeaderBytes + key.size());
  std::byte* const at = out.data();
  std::memset(at, 0, kRecordHeaderBytes);
  StoreLe<uint32_t>(at, kRecordMagic);
  StoreLe<uint64_t>(at + kSegmentAt, header.segment_id);
  StoreLe<uint64_t>(at + kSequenceAt, header.sequence);
  StoreLe<uint32_t>(at + kValueLengthAt, header.value_length);
  StoreLe<uint32_t>(at + kValueCrcAt, header.value_crc);
  StoreLe<uint16_t>(at + kKeyLengthAt, header.key_length);
  at[kKindAt] = static_cast<std::byte>(header.kind);
  StoreLe<uint32_t>(at + kFlagsAt, header.flags);
  StoreLe<uint64_t>(at + kCasAt, header.cas);
  StoreLe<uint64_t>(at + kExpiresAt,
                    static_cast<uint64_t>(header.expires_unix));
  if (!key.empty())
    std::memcpy(at + kRecordHeaderBytes, key.data(), key.size());
  StoreLe<uint32_t>(at + kCrcAt, Crc32c(ByteSpan(out).subspan(
                                     kFieldsAt, kRecordHeaderBytes - kFieldsAt +
                                                    key.size())));
}

std::optional<RecordHead> ParseRecordHead(ByteSpan bytes) {
  if (bytes.size() < kRecordHeaderBytes) return std::nullopt;
  const std::byte* const at = bytes.data();
  if (LoadLe<uint32_t>(at) != kRecordMagic) return std::nullopt;
  RecordHead head;
  RecordHeader& header = head.header;
  header.key_length = LoadLe<uint16_t>(at + kKeyLengthAt);
  if (header.key_length > kMaxCacheKeyBytes ||
      bytes.size() < kRecordHeaderBytes + header.key_length)
    return std::nullopt;
  const ByteSpan covered = bytes.subspan(
      kFieldsAt, kRecordHeaderBytes - kFieldsAt + header.key_length);
  if (LoadLe<uint32_t>(at + kCrcAt) != Crc32c(covered)) return std::nullopt;
  header.kind = static_cast<RecordKind>(at[kKindAt]);
  header.value_length = LoadLe<uint32_t>(at + kValueLengthAt);
  header.value_crc = LoadLe<uint32_t>(at + kValueCrcAt);
  header.flags = LoadLe<uint32_t>(at + kFlagsAt);
  header.segment_id = LoadLe<uint64_t>(at + kSegmentAt);
  header.sequence = LoadLe<uint64_t>(at + kSequenceAt);
  header.cas = LoadLe<uint64_t>(at + kCasAt);
  header.expires_unix = static_cast<int64_t>(LoadLe<uint64_t>(at + kExpiresAt));
  if (!IsPlausible(header)) return std::nullopt;
  head.key = AsText(bytes.subspan(kRecordHeaderBytes, header.key_length));
  return head;
}

}  // namespace morsel
