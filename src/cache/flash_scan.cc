// SPDX-License-Identifier: Apache-2.0
#include "cache/flash_scan.h"

#include <algorithm>

#include "cache/aligned_buffer.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

// Large steps where records are small, one head at a time where they are large.
constexpr uint64_t kFarBytes = 2 * kFlashBlockBytes;
constexpr uint64_t kNearBytes = 64 * kKiB;

// A view of a segment that reads what it does not have.
class SegmentWindow {
 public:
  SegmentWindow(CacheDevice& device, const FlashGeometry& geometry, uint64_t id)
      : device_(device),
        base_(geometry.OffsetOf(id)),
        size_(geometry.segment_bytes),
        buffer_(kNearBytes) {}

  // At least `wanted` bytes at `offset`, fewer only at the segment's end.
  // Requires: wanted + a block fits into `step`, which is what is read.
  Result<ByteSpan> At(uint64_t offset, uint64_t wanted, uint64_t step) {
    wanted = std::min(wanted, size_ - offset);
    if (offset < begin_ || offset + wanted > end_) {
      begin_ = RoundDown(offset, kFlashBlockBytes);
      end_ = std::min(size_, begin_ + step);
      const Status status =
          device_.Read(base_ + begin_, buffer_.span().first(end_ - begin_));
      if (!status.ok()) {
        end_ = begin_ = 0;
        return status.error();
      }
    }
    return ByteSpan(buffer_.span()).subspan(offset - begin_, end_ - offset);
  }

 private:
  CacheDevice& device_;
  const uint64_t base_;
  const uint64_t size_;
  AlignedBuffer buffer_;
  uint64_t begin_ = 0, end_ = 0;
};

Result<bool> ValueIsWhole(CacheDevice& device, const FlashGeometry& geometry,
                          uint64_t offset, const RecordHeader& header) {
  const uint64_t begin =
      geometry.OffsetOf(header.segment_id) + offset + header.value_offset();
  const uint64_t first = RoundDown(begin, kFlashBlockBytes);
  AlignedBuffer buffer(begin + header.value_length - first);
  RETURN_IF_ERROR(device.Read(first, buffer.span()));
  return Crc32c(buffer.span().subspan(begin - first, header.value_length)) ==
         header.value_crc;
}

}  // namespace

Result<ScanEnd> ScanSegment(
    CacheDevice& device, const FlashGeometry& geometry, uint64_t id,
    bool check_values,
    const std::function<void(const ScannedRecord&)>& on_record) {
  SegmentWindow window(device, geometry, id);
  uint64_t at = kFlashBlockBytes;
  uint64_t step = kNearBytes;
  while (at < geometry.segment_bytes) {
    ASSIGN_OR_RETURN(const ByteSpan bytes,
                     window.At(at, kMaxRecordHeadBytes, step));
    const auto head = ParseRecordHead(bytes);
    if (!head || head->header.segment_id != id) break;
    const RecordHeader& header = head->header;
    if (header.total_bytes() > geometry.segment_bytes - at) break;
    if (check_values && header.kind == RecordKind::kValue) {
      ASSIGN_OR_RETURN(const bool whole,
                       ValueIsWhole(device, geometry, at, header));
      if (!whole) return ScanEnd{at, true};
    }
    if (header.kind != RecordKind::kPadding)
      on_record({header, head->key, static_cast<uint32_t>(at)});
    at += header.total_bytes();
    step = header.total_bytes() > kNearBytes / 2 ? kFarBytes : kNearBytes;
  }
  return ScanEnd{at, false};
}

}  // namespace morsel
