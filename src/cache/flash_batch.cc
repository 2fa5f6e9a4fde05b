// SPDX-License-Identifier: Apache-2.0
#include "cache/flash_batch.h"

#include <cstring>

#include "crypto/hash.h"

namespace morsel {

FlashBatch::FlashBatch(uint64_t segment_id, uint64_t offset,
                       uint64_t room_bytes)
    : segment_id_(segment_id),
      offset_(offset),
      buffer_(RoundDown(room_bytes, kFlashBlockBytes)) {
  CHECK(offset % kFlashBlockBytes == 0);
}

void FlashBatch::Append(const CacheKey& id, RecordHeader header,
                        std::string_view key, ByteSpan value) {
  const uint64_t total = header.total_bytes();
  CHECK(Fits(total));
  header.segment_id = segment_id_;
  const MutableByteSpan out = buffer_.span().subspan(used_, total);
  EncodeRecordHead(header, key, out);
  const uint64_t end = header.value_offset() + value.size();
  if (!value.empty())
    std::memcpy(out.data() + header.value_offset(), value.data(), value.size());
  std::memset(out.data() + end, 0, total - end);
  records_.push_back({id,
                      header.kind,
                      header.sequence,
                      {segment_id_, static_cast<uint32_t>(offset_ + used_),
                       static_cast<uint32_t>(total)}});
  used_ += total;
}

void FlashBatch::Add(const FlashQueued& queued) {
  const CacheValue& value = queued.value;
  RecordHeader header;
  header.kind = queued.kind;
  header.key_length = static_cast<uint16_t>(queued.key.size());
  header.value_length = static_cast<uint32_t>(value.bytes.size());
  header.value_crc = Crc32c(value.bytes.span());
  header.flags = value.flags;
  header.sequence = queued.sequence;
  header.cas = value.cas;
  header.expires_unix = value.expires_unix;
  Append(queued.id, header, queued.key, value.bytes.span());
}

void FlashBatch::AddMoved(const CacheKey& id, const RecordHeader& header,
                          std::string_view key, ByteSpan value) {
  Append(id, header, key, value);
}

ByteSpan FlashBatch::Finish() {
  const uint64_t whole = RoundUp(used_, kFlashBlockBytes);
  if (whole > used_) {
    const MutableByteSpan rest = buffer_.span().subspan(used_, whole - used_);
    std::memset(rest.data(), 0, rest.size());
    RecordHeader padding;
    padding.kind = RecordKind::kPadding;
    padding.segment_id = segment_id_;
    padding.value_length =
        static_cast<uint32_t>(rest.size() - kRecordHeaderBytes);
    EncodeRecordHead(padding, "", rest);
    used_ = whole;
  }
  return ByteSpan(buffer_.span()).first(used_);
}

}  // namespace morsel
