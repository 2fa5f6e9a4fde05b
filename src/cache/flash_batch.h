// SPDX-License-Identifier: Apache-2.0
// FlashBatch: records gathered into whole blocks, for one write at the end of
// the open segment.
//
// Thread safety: owned by one thread.
#pragma once

#include <vector>

#include "cache/aligned_buffer.h"
#include "cache/flash_index.h"

namespace morsel {

class FlashBatch {
 public:
  struct Record {
    CacheKey id;
    RecordKind kind;
    uint64_t sequence = 0;
    FlashLocation location;
  };

  // For segment `segment_id`, from `offset` in it on (a whole block), of at
  // most `room_bytes`, which become at most that many bytes of the device.
  FlashBatch(uint64_t segment_id, uint64_t offset, uint64_t room_bytes);

  bool Fits(uint64_t total_bytes) const {
    return used_ + total_bytes <= buffer_.size();
  }
  // Require: Fits.
  void Add(const FlashQueued& queued);
  // A whole record as it lies on the device, checked by the caller.
  void AddMoved(const CacheKey& id, const RecordHeader& header,
                std::string_view key, ByteSpan value);

  // Fills up the last block; nothing can be added afterwards.
  ByteSpan Finish();

  uint64_t used_bytes() const { return used_; }
  const std::vector<Record>& records() const { return records_; }

 private:
  void Append(const CacheKey& id, RecordHeader header, std::string_view key,
              ByteSpan value);

  const uint64_t segment_id_;
  const uint64_t offset_;
  AlignedBuffer buffer_;
  uint64_t used_ = 0;
  std::vector<Record> records_;
};

}  // namespace morsel
