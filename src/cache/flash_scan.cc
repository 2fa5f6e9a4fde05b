// SPDX-License-Identifier: Apache-2.0
#include "cache/flash_scan.h"

#include <algorithm>
#include <utility>
#include <vector>

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

namespace {

// A record whose value does not fit: damaged, or cut off by a kill.
struct Doubtful {
  RecordHeader header;
  std::string key;
  uint32_t offset = 0;
};

class SegmentScan {
 public:
  using OnRecord = std::function<void(const ScannedRecord&)>;

  SegmentScan(CacheDevice& device, const FlashGeometry& geometry, uint64_t id,
              bool check_values, const OnRecord& on_record)
      : device_(device),
        geometry_(geometry),
        id_(id),
        check_values_(check_values),
        on_record_(on_record),
        window_(device, geometry, id) {}

  Result<ScanEnd> Run() {
    while (at_ < geometry_.segment_bytes) {
      ASSIGN_OR_RETURN(const ByteSpan bytes,
                       window_.At(at_, kMaxRecordHeadBytes, step_));
      const auto head = ParseRecordHead(bytes);
      if (!head || head->header.segment_id != id_ ||
          head->header.total_bytes() > geometry_.segment_bytes - at_) {
        in_gap_ = true;
        at_ += kRecordAlignBytes;
        step_ = kNearBytes;
        continue;
      }
      RETURN_IF_ERROR(Take(*head));
    }
    for (const Doubtful& each : doubtful_) end_.torn.push_back(each.offset);
    return end_;
  }

 private:
  Status Take(const RecordHead& head) {
    const RecordHeader& header = head.header;
    const auto offset = static_cast<uint32_t>(at_);
    at_ += header.total_bytes();
    step_ = header.total_bytes() > kNearBytes / 2 ? kFarBytes : kNearBytes;
    if (std::exchange(in_gap_, false)) ++end_.gaps;
    if (check_values_ && header.kind == RecordKind::kValue) {
      // It reads elsewhere: the window stays, and with it the key.
      ASSIGN_OR_RETURN(const bool whole,
                       ValueIsWhole(device_, geometry_, offset, header));
      if (!whole) {
        doubtful_.push_back({header, std::string(head.key), offset});
        return Ok();
      }
    }
    for (const Doubtful& each : doubtful_)
      on_record_({each.header, each.key, each.offset, true});
    doubtful_.clear();
    if (header.kind != RecordKind::kPadding)
      on_record_({header, head.key, offset, false});
    return Ok();
  }

  CacheDevice& device_;
  const FlashGeometry& geometry_;
  const uint64_t id_;
  const bool check_values_;
  const OnRecord& on_record_;
  SegmentWindow window_;
  uint64_t at_ = kFlashBlockBytes;
  ScanEnd end_;
  uint64_t step_ = kNearBytes;
  bool in_gap_ = false;
  std::vector<Doubtful> doubtful_;
};

}  // namespace

Result<ScanEnd> ScanSegment(
    CacheDevice& device, const FlashGeometry& geometry, uint64_t id,
    bool check_values,
    const std::function<void(const ScannedRecord&)>& on_record) {
  return SegmentScan(device, geometry, id, check_values, on_record).Run();
}

}  // namespace morsel
