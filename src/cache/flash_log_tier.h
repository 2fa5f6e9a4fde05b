// SPDX-License-Identifier: Apache-2.0
// FlashLogTier: FlashTier as flash_tier.h states it. flash_log_tier.cc has what
// callers call and the recovery, flash_log_writer.cc the thread that writes.
//
// Thread safety: thread-safe; no lock is held over I/O. What the writer alone
// uses is marked so and has no lock.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "cache/flash_batch.h"
#include "cache/flash_index.h"
#include "cache/flash_scan.h"
#include "cache/flash_tier.h"

namespace morsel {

class FlashLogTier final : public FlashTier {
 public:
  static Result<std::unique_ptr<FlashLogTier>> Open(
      std::unique_ptr<CacheDevice> device, const FlashTierOptions& options,
      Clock& clock);
  ~FlashLogTier() override;

  Result<Found> Get(std::string_view key) override EXCLUDES(mutex_);
  bool Contains(std::string_view key) const override EXCLUDES(mutex_);
  Result<Header> Find(std::string_view key) const override EXCLUDES(mutex_);
  Status Put(std::string_view key, const CacheValue& value,
             WhenFull when_full) override EXCLUDES(mutex_);
  bool Erase(std::string_view key) override EXCLUDES(mutex_);
  void EraseAll() override EXCLUDES(mutex_);
  Status Flush() override EXCLUDES(mutex_);
  FlashTierStats Stats() const override EXCLUDES(mutex_);

 private:
  using Queue = std::deque<FlashQueuedPtr>;
  // A record as it was read: its head points into the buffer.
  struct ReadRecord {
    AlignedBuffer buffer;
    size_t offset = 0;  // of the record in the buffer
    RecordHead head;
  };

  FlashLogTier(std::unique_ptr<CacheDevice> device,
               const FlashGeometry& geometry, const FlashTierOptions& options,
               Clock& clock);

  // Recovery.
  std::vector<uint64_t> FindSegments();
  void Recover() EXCLUDES(mutex_);
  void RestoreRecord(const RecordHeader& header, std::string_view key,
                     uint32_t offset) REQUIRES(mutex_);
  void DropDamaged(const ScannedRecord& record) REQUIRES(mutex_);
  Status FinishScan(uint64_t segment_id, const ScanEnd& end) EXCLUDES(mutex_);
  Status CutOff(uint64_t segment_id, uint64_t offset);

  // kCorrupt: no whole record of that version lies there. kIo.
  Result<ReadRecord> ReadAt(const FlashLocation& location, uint64_t sequence);
  // After a read that failed: whether the record is still the current one.
  bool DropIfCurrent(const CacheKey& id, const FlashEntry& entry, Code code)
      EXCLUDES(mutex_);
  Result<Found> FoundIn(ReadRecord record, std::string_view key, uint32_t uses);

  void CountHit() EXCLUDES(mutex_);

  void Enqueue(FlashQueued item) REQUIRES(mutex_);
  bool EraseLocked(const CacheKey& id, std::string_view key) REQUIRES(mutex_);
  Error Failed() const;

  // The writer's.
  void WriterLoop();
  bool BatchIsDue() const REQUIRES(mutex_);
  std::vector<FlashQueuedPtr> NextItems() EXCLUDES(mutex_);
  Status WriteItems(const std::vector<FlashQueuedPtr>& items) EXCLUDES(mutex_);
  FlashBatch MakeBatch() const;
  Status AdvanceSegment() EXCLUDES(mutex_);
  Status WriteBatch(FlashBatch& batch, uint64_t moved_bytes) EXCLUDES(mutex_);
  Status MoveRest() EXCLUDES(mutex_);
  uint64_t AddMoves(FlashBatch& batch, uint64_t due_bytes) EXCLUDES(mutex_);
  bool AddMove(FlashBatch& batch, const CacheKey& id, const FlashEntry& entry);
  bool IsDead(const FlashQueued& item) const EXCLUDES(mutex_);
  // For records, in the open segment.
  uint64_t RoomLeft() const { return geometry_.segment_bytes - write_at_; }
  void Finish(const std::vector<FlashQueuedPtr>& items, const Status& status)
      EXCLUDES(mutex_);

  const std::unique_ptr<CacheDevice> device_;
  const FlashGeometry geometry_;
  const FlashTierOptions options_;
  Clock& clock_;

  mutable Mutex mutex_;
  CondVar work_;     // for the writer
  CondVar written_;  // for who waits for it
  FlashIndex index_ GUARDED_BY(mutex_);
  Queue queue_ GUARDED_BY(mutex_);
  // Of the queue, of what the writer has taken, and of what is being copied.
  uint64_t queued_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t next_sequence_ GUARDED_BY(mutex_) = 1;
  // Every sequence up to it is written, or was replaced before that.
  uint64_t written_sequence_ GUARDED_BY(mutex_) = 0;
  uint64_t flush_sequence_ GUARDED_BY(mutex_) = 0;  // wanted at once
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool failed_ GUARDED_BY(mutex_) = false;
  FlashTierStats stats_ GUARDED_BY(mutex_);

  // The writer's alone.
  uint64_t newest_id_ = 0;     // of the segments
  bool is_open_ = false;       // the newest one is being filled
  uint64_t write_at_ = 0;      // in it
  uint64_t credit_bytes_ = 0;  // that may be moved, in all
  // To be moved into the open segment, and where in the keys of the segment
  // that goes next.
  uint64_t move_bytes_ = 0;
  size_t move_cursor_ = 0;

  std::jthread writer_;  // ends before all of the above
};

}  // namespace morsel
