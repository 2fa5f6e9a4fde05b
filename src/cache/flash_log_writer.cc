// SPDX-License-Identifier: Apache-2.0
// The writer of the flash tier: takes batches from the queue, and moves what is
// hot out of the segment that goes next while the open one is filled.
//
// The segment that goes next is the oldest of the ring. When a segment is
// opened, so much of its room as the hot records there take is set aside, as
// far as there is credit: each byte that comes in earns max_write_amplification
// - 1 bytes, each byte moved costs one. The hot records ride along with the
// batches in that proportion. So moving never holds up what comes in for long,
// needs no spare segment, and is bounded whatever the workload does. What is
// left when the open segment is full is evicted.
#include <algorithm>

#include "base/log.h"
#include "cache/flash_log_tier.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxRecordBytes =
    RoundUp(kMaxRecordHeadBytes + kMaxCacheValueBytes, kFlashBlockBytes);

}  // namespace

void FlashLogTier::WriterLoop() {
  while (true) {
    const std::vector<FlashQueuedPtr> items = NextItems();
    if (items.empty()) return;
    Finish(items, WriteItems(items));
  }
}

bool FlashLogTier::BatchIsDue() const {
  return stopping_ || flush_sequence_ > written_sequence_ ||
         queued_bytes_ >=
             std::min(options_.batch_bytes, options_.queue_bytes / 2);
}

// Waits for a batch; empty when the tier ends and everything is written.
std::vector<FlashQueuedPtr> FlashLogTier::NextItems() {
  std::vector<FlashQueuedPtr> items;
  const MutexLock lock(mutex_);
  while (queue_.empty() && !stopping_) work_.Wait(mutex_);
  while (!queue_.empty() && !BatchIsDue())
    if (!work_.WaitUntil(mutex_, queue_.front()->queued_at + options_.linger))
      break;
  uint64_t bytes = 0;
  while (!queue_.empty() && bytes < options_.batch_bytes) {
    bytes += queue_.front()->total_bytes();
    items.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return items;
}

// A value that was replaced or erased while it waited.
bool FlashLogTier::IsDead(const FlashQueued& item) const {
  if (item.kind != RecordKind::kValue) return false;
  const MutexLock lock(mutex_);
  const FlashEntry* const entry = index_.Find(item.id);
  return entry == nullptr || entry->sequence != item.sequence;
}

Status FlashLogTier::WriteItems(const std::vector<FlashQueuedPtr>& items) {
  size_t next = 0;
  while (next < items.size()) {
    const uint64_t first_bytes = items[next]->total_bytes();
    if (is_open_ && first_bytes + move_bytes_ > RoomLeft())
      RETURN_IF_ERROR(MoveRest());
    if (!is_open_ || first_bytes > RoomLeft()) {
      RETURN_IF_ERROR(AdvanceSegment());
      continue;
    }
    const uint64_t room_for_new = RoomLeft() - move_bytes_;
    FlashBatch batch = MakeBatch();
    for (; next < items.size(); ++next) {
      const uint64_t bytes = items[next]->total_bytes();
      if (batch.used_bytes() + bytes > room_for_new || !batch.Fits(bytes))
        break;
      if (!IsDead(*items[next])) batch.Add(*items[next]);
    }
    if (batch.used_bytes() == 0) continue;
    const double part = static_cast<double>(batch.used_bytes()) /
                        static_cast<double>(room_for_new);
    const uint64_t moved = AddMoves(
        batch,
        static_cast<uint64_t>(part * static_cast<double>(move_bytes_)) + 1);
    RETURN_IF_ERROR(WriteBatch(batch, moved));
  }
  return Ok();
}

FlashBatch FlashLogTier::MakeBatch() const {
  return FlashBatch(
      newest_id_, write_at_,
      std::min(RoomLeft(), 2 * (options_.batch_bytes + kMaxRecordBytes)));
}

// What was set aside for hot records and has not been moved yet.
Status FlashLogTier::MoveRest() {
  while (move_bytes_ > 0) {
    FlashBatch batch = MakeBatch();
    const uint64_t moved = AddMoves(batch, move_bytes_);
    if (moved == 0) move_bytes_ = 0;  // it does not fit any more
    if (moved > 0) RETURN_IF_ERROR(WriteBatch(batch, moved));
  }
  return Ok();
}

// `moved_bytes` of the batch are moved records, the others came in.
Status FlashLogTier::WriteBatch(FlashBatch& batch, uint64_t moved_bytes) {
  const uint64_t admitted = batch.used_bytes() - moved_bytes;
  RETURN_IF_ERROR(device_->Write(geometry_.OffsetOf(newest_id_) + write_at_,
                                 batch.Finish()));
  write_at_ += batch.used_bytes();
  const double earned =
      static_cast<double>(admitted) * (options_.max_write_amplification - 1);
  credit_bytes_ =
      std::min(credit_bytes_ + static_cast<uint64_t>(earned), device_->size());
  const auto now = clock_.Now();
  const MutexLock lock(mutex_);
  for (const FlashBatch::Record& record : batch.records())
    if (record.kind == RecordKind::kValue)
      index_.SetLocated(record.id, record.sequence, record.location, now);
  stats_.admitted_bytes += admitted;
  stats_.moved_bytes += moved_bytes;
  stats_.written_bytes += batch.used_bytes();
  return Ok();
}

// The header first, then the index forgets: until then the old records can
// still be read, and who erases one of them leaves a tombstone.
Status FlashLogTier::AdvanceSegment() {
  const uint64_t id = newest_id_ + 1;
  AlignedBuffer block(kFlashBlockBytes);
  EncodeSegmentHeader(geometry_, id, block.span());
  RETURN_IF_ERROR(device_->Write(geometry_.OffsetOf(id), block.span()));
  newest_id_ = id;
  is_open_ = true;
  write_at_ = kFlashBlockBytes;
  move_cursor_ = 0;
  const MutexLock lock(mutex_);
  stats_.written_bytes += kFlashBlockBytes;
  if (id > geometry_.segment_count)
    stats_.evictions += index_.DropSegment(id - geometry_.segment_count);
  move_bytes_ = 0;
  if (id + 1 > geometry_.segment_count)
    move_bytes_ = std::min({index_.HotBytesIn(id + 1 - geometry_.segment_count),
                            credit_bytes_, geometry_.room_bytes()});
  return Ok();
}

// Moves at least `due_bytes`, if there are so many; gives how many it did.
uint64_t FlashLogTier::AddMoves(FlashBatch& batch, uint64_t due_bytes) {
  if (move_bytes_ == 0) return 0;
  const uint64_t victim = newest_id_ + 1 - geometry_.segment_count;
  const int64_t now_unix = clock_.UnixSeconds();
  const uint64_t before = batch.used_bytes();
  while (batch.used_bytes() - before < due_bytes) {
    const size_t cursor = move_cursor_;
    std::optional<CacheKey> id;
    FlashEntry entry;
    {
      const MutexLock lock(mutex_);
      id = index_.NextHot(victim, &move_cursor_);
      if (id) entry = *index_.Find(*id);
    }
    const uint64_t bytes = entry.location.total_bytes;
    if (!id || bytes > move_bytes_) {
      move_bytes_ = 0;  // all are moved, or what was set aside is used up
      break;
    }
    if (entry.expires_unix != 0 && now_unix >= entry.expires_unix) continue;
    if (!batch.Fits(bytes)) {
      move_cursor_ = cursor;  // in a later batch
      break;
    }
    if (!AddMove(batch, *id, entry)) continue;
    move_bytes_ -= bytes;
    credit_bytes_ -= bytes;
  }
  return batch.used_bytes() - before;
}

bool FlashLogTier::AddMove(FlashBatch& batch, const CacheKey& id,
                           const FlashEntry& entry) {
  Result<ReadRecord> record = ReadAt(entry.location, entry.sequence);
  if (!record.ok()) {
    if (DropIfCurrent(id, entry, record.error().code))
      LogWarn("flash tier: a record could not be kept",
              {{"device", device_->name()},
               {"segment", entry.location.segment_id},
               {"offset", entry.location.offset},
               {"cause", record.error().message}});
    return false;
  }
  const RecordHeader& header = record->head.header;
  batch.AddMoved(
      id, header, record->head.key,
      record->buffer.span().subspan(record->offset + header.value_offset(),
                                    header.value_length));
  return true;
}

void FlashLogTier::Finish(const std::vector<FlashQueuedPtr>& items,
                          const Status& status) {
  if (!status.ok())
    LogError("flash tier writes no more; mend the device and restart",
             {{"device", device_->name()}, {"cause", status.error().message}});
  const MutexLock lock(mutex_);
  const auto finish = [&](const FlashQueuedPtr& item) REQUIRES(mutex_) {
    queued_bytes_ -= item->queue_bytes();
    written_sequence_ = item->sequence;
    const FlashEntry* const entry = index_.Find(item->id);
    // Not written: its value goes with the queue.
    if (entry != nullptr && entry->queued == item) index_.Erase(item->id);
  };
  for (const FlashQueuedPtr& item : items) finish(item);
  if (!status.ok()) {
    failed_ = true;
    for (const FlashQueuedPtr& item : queue_) finish(item);
    queue_.clear();
  }
  written_.NotifyAll();
}

}  // namespace morsel
