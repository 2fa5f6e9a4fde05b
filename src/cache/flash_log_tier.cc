// SPDX-License-Identifier: Apache-2.0
#include "cache/flash_log_tier.h"

#include <algorithm>

#include "base/log.h"
#include "cache/flash_scan.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

// A record that was moved under its reader is looked up again, so often.
constexpr int kReadAttempts = 3;

Error Absent() { return MakeError(Code::kNotFound, "not in the flash tier"); }

std::string Printable(std::string_view key) {
  const bool is_text = std::all_of(
      key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  return is_text ? std::string(key) : ToHex(AsBytes(key));
}

}  // namespace

double FlashTierStats::write_amplification() const {
  return admitted_bytes == 0 ? 1.0
                             : static_cast<double>(written_bytes) /
                                   static_cast<double>(admitted_bytes);
}

Result<std::unique_ptr<FlashTier>> FlashTier::Open(
    std::unique_ptr<CacheDevice> device, const FlashTierOptions& options,
    Clock& clock) {
  ASSIGN_OR_RETURN(auto tier,
                   FlashLogTier::Open(std::move(device), options, clock));
  return std::unique_ptr<FlashTier>(std::move(tier));
}

Result<std::unique_ptr<FlashLogTier>> FlashLogTier::Open(
    std::unique_ptr<CacheDevice> device, const FlashTierOptions& options,
    Clock& clock) {
  if (options.hot_part < 0 || options.hot_part > 1 ||
      options.max_write_amplification < 1 || options.batch_bytes == 0)
    return MakeError(Code::kInvalid, "flash tier: an option is out of range");
  ASSIGN_OR_RETURN(
      const FlashGeometry geometry,
      FlashGeometry::ForDevice(device->size(), options.segment_bytes));
  std::unique_ptr<FlashLogTier> tier(
      new FlashLogTier(std::move(device), geometry, options, clock));
  tier->Recover();
  tier->writer_ = std::jthread([self = tier.get()] { self->WriterLoop(); });
  return tier;
}

FlashLogTier::FlashLogTier(std::unique_ptr<CacheDevice> device,
                           const FlashGeometry& geometry,
                           const FlashTierOptions& options, Clock& clock)
    : device_(std::move(device)),
      geometry_(geometry),
      options_(options),
      clock_(clock),
      index_(geometry, options.policy, options.hot_part) {}

FlashLogTier::~FlashLogTier() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    work_.NotifyAll();
  }
  if (writer_.joinable()) writer_.join();
}

// The ids of the segments that are there, in the order of the log. A segment
// that cannot be read, or that the ring should have overwritten, is left out.
std::vector<uint64_t> FlashLogTier::FindSegments() {
  std::vector<uint64_t> ids;
  AlignedBuffer block(kFlashBlockBytes);
  for (uint32_t slot = 0; slot < geometry_.segment_count; ++slot) {
    const Status status = device_->Read(geometry_.OffsetOf(slot), block.span());
    if (!status.ok()) {
      LogWarn("flash tier: a segment cannot be read and is dropped",
              {{"device", device_->name()},
               {"slot", slot},
               {"cause", status.error().message}});
      continue;
    }
    const auto id = ParseSegmentHeader(geometry_, slot, block.span());
    if (id) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  if (ids.empty()) return ids;
  const uint64_t newest = ids.back();
  std::erase_if(
      ids, [&](uint64_t id) { return newest - id >= geometry_.segment_count; });
  return ids;
}

void FlashLogTier::Recover() {
  const std::vector<uint64_t> ids = FindSegments();
  if (ids.empty()) return;
  newest_id_ = ids.back();
  for (const uint64_t id : ids) {
    // Only the newest one can have been cut off by a kill.
    const auto end =
        ScanSegment(*device_, geometry_, id, /*check_values=*/id == newest_id_,
                    [&](const ScannedRecord& record) {
                      const MutexLock lock(mutex_);
                      if (record.is_damaged)
                        DropDamaged(record);
                      else
                        RestoreRecord(record.header, record.key, record.offset);
                    });
    if (!end.ok())
      LogWarn("flash tier: the rest of a segment cannot be read",
              {{"device", device_->name()},
               {"segment", id},
               {"cause", end.error().message}});
    const Status cut = end.ok() ? FinishScan(id, *end) : Status();
    if (cut.ok()) continue;
    LogError("flash tier writes no more; mend the device and restart",
             {{"device", device_->name()}, {"cause", cut.error().message}});
    const MutexLock lock(mutex_);
    failed_ = true;
  }
  const MutexLock lock(mutex_);
  written_sequence_ = next_sequence_ - 1;
  LogInfo("flash tier recovered", {{"device", device_->name()},
                                   {"segments", ids.size()},
                                   {"entries", index_.entry_count()},
                                   {"bytes", index_.live_bytes()}});
}

// Not what it replaced either, which would be old.
void FlashLogTier::DropDamaged(const ScannedRecord& record) {
  LogWarn("flash tier: a damaged value is dropped",
          {{"device", device_->name()},
           {"key", Printable(record.key)},
           {"segment", record.header.segment_id},
           {"offset", record.offset}});
  ++stats_.corrupt;
  RestoreRecord(record.header, record.key, record.offset);
  const FlashEntry* const entry = index_.Find(CacheKey::Of(record.key));
  if (entry != nullptr && entry->sequence == record.header.sequence)
    index_.Erase(CacheKey::Of(record.key));
}

Status FlashLogTier::FinishScan(uint64_t segment_id, const ScanEnd& end) {
  if (end.gaps > 0) {
    LogWarn("flash tier: damaged records are passed over",
            {{"device", device_->name()},
             {"segment", segment_id},
             {"places", end.gaps}});
    const MutexLock lock(mutex_);
    stats_.corrupt += end.gaps;
  }
  for (const uint32_t offset : end.torn)
    RETURN_IF_ERROR(CutOff(segment_id, offset));
  return Ok();
}

// So that no later start, which does not check the values of this segment,
// takes what was cut off, or what lies behind it, for newer than what comes
// now.
Status FlashLogTier::CutOff(uint64_t segment_id, uint64_t offset) {
  const uint64_t first = RoundDown(offset, kFlashBlockBytes);
  const uint64_t at = geometry_.OffsetOf(segment_id) + first;
  AlignedBuffer block(kFlashBlockBytes);
  RETURN_IF_ERROR(device_->Read(at, block.span()));
  const auto rest = block.span().subspan(offset - first);
  std::fill(rest.begin(), rest.end(), std::byte{0});
  return device_->Write(at, block.span());
}

void FlashLogTier::RestoreRecord(const RecordHeader& header,
                                 std::string_view key, uint32_t offset) {
  next_sequence_ = std::max(next_sequence_, header.sequence + 1);
  const CacheKey id = CacheKey::Of(key);
  const FlashEntry* const known = index_.Find(id);
  const bool is_older = known != nullptr && known->sequence > header.sequence;
  switch (header.kind) {
    case RecordKind::kClear:
      index_.Clear();
      break;
    case RecordKind::kTombstone:
      if (!is_older) index_.Erase(id);
      break;
    case RecordKind::kValue: {
      if (is_older) break;
      FlashEntry entry;
      entry.location = {header.segment_id, offset,
                        static_cast<uint32_t>(header.total_bytes())};
      entry.sequence = header.sequence;
      entry.cas = header.cas;
      entry.expires_unix = header.expires_unix;
      stats_.highest_cas = std::max(stats_.highest_cas, header.cas);
      index_.Restore(id, entry, clock_.Now());
      break;
    }
    case RecordKind::kPadding:
      break;
  }
}

Result<FlashLogTier::ReadRecord> FlashLogTier::ReadAt(
    const FlashLocation& location, uint64_t sequence) {
  const uint64_t begin =
      geometry_.OffsetOf(location.segment_id) + location.offset;
  const uint64_t first = RoundDown(begin, kFlashBlockBytes);
  ReadRecord record{AlignedBuffer(begin + location.total_bytes - first),
                    static_cast<size_t>(begin - first),
                    {}};
  RETURN_IF_ERROR(device_->Read(first, record.buffer.span()));
  const ByteSpan bytes = record.buffer.span().subspan(record.offset);
  const auto head = ParseRecordHead(bytes);
  if (!head || head->header.kind != RecordKind::kValue ||
      head->header.segment_id != location.segment_id ||
      head->header.sequence != sequence ||
      head->header.total_bytes() != location.total_bytes ||
      Crc32c(bytes.subspan(head->header.value_offset(),
                           head->header.value_length)) !=
          head->header.value_crc)
    return MakeError(Code::kCorrupt, "the record's checksum does not fit");
  record.head = *head;
  return record;
}

bool FlashLogTier::DropIfCurrent(const CacheKey& id, const FlashEntry& entry,
                                 Code code) {
  const MutexLock lock(mutex_);
  const FlashEntry* const now = index_.Find(id);
  const bool is_current = now != nullptr && now->queued == nullptr &&
                          now->sequence == entry.sequence &&
                          now->location.segment_id == entry.location.segment_id;
  if (!is_current) return false;
  if (code == Code::kCorrupt) {
    ++stats_.corrupt;
    index_.Erase(id);
  } else {
    ++stats_.read_errors;
  }
  return true;
}

Result<FlashTier::Found> FlashLogTier::FoundIn(ReadRecord record,
                                               std::string_view key,
                                               uint32_t uses) {
  const RecordHeader header = record.head.header;
  if (record.head.key != key) return Absent();
  const size_t at = record.offset + header.value_offset();
  Found found;
  found.value = {std::move(record.buffer).Share(at, header.value_length),
                 header.flags, header.cas, header.expires_unix};
  found.sequence = header.sequence;
  found.uses = uses;
  return found;
}

void FlashLogTier::CountHit() {
  const MutexLock lock(mutex_);
  ++stats_.hits;
}

Result<FlashTier::Found> FlashLogTier::Get(std::string_view key) {
  const CacheKey id = CacheKey::Of(key);
  const int64_t now_unix = clock_.UnixSeconds();
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    FlashEntry entry;
    {
      const MutexLock lock(mutex_);
      FlashEntry* const known = index_.Find(id);
      const bool expired = known != nullptr && known->expires_unix != 0 &&
                           now_unix >= known->expires_unix;
      if (known == nullptr || expired) {
        ++stats_.misses;
        if (expired) ++stats_.expired;
        if (expired) index_.Erase(id);
        return Absent();
      }
      index_.Use(id, *known, clock_.Now());
      entry = *known;
    }
    if (entry.queued != nullptr) {
      CountHit();
      return Found{entry.queued->value, entry.sequence, entry.uses};
    }
    Result<ReadRecord> record = ReadAt(entry.location, entry.sequence);
    if (record.ok()) {
      CountHit();
      return FoundIn(std::move(record).value(), key, entry.uses);
    }
    // It may have been overwritten under our hands: then look again.
    if (DropIfCurrent(id, entry, record.error().code))
      return std::move(record).error().Wrap(
          "flash tier " + device_->name() + ": key " + Printable(key) +
          " in segment " + std::to_string(entry.location.segment_id) + " at " +
          std::to_string(entry.location.offset));
  }
  const MutexLock lock(mutex_);
  ++stats_.misses;
  return Absent();
}

Result<FlashTier::Header> FlashLogTier::Find(std::string_view key) const {
  const CacheKey id = CacheKey::Of(key);
  const int64_t now_unix = clock_.UnixSeconds();
  const MutexLock lock(mutex_);
  const FlashEntry* const entry = index_.Find(id);
  if (entry == nullptr ||
      (entry->expires_unix != 0 && now_unix >= entry->expires_unix))
    return Absent();
  return Header{entry->sequence, entry->cas, entry->expires_unix};
}

bool FlashLogTier::Contains(std::string_view key) const {
  return Find(key).ok();
}

Error FlashLogTier::Failed() const {
  return MakeError(Code::kUnavailable,
                   "flash tier " + device_->name() +
                       ": a write failed (see the log), so it writes no more; "
                       "mend the device and restart");
}

void FlashLogTier::Enqueue(FlashQueued item) {
  item.sequence = next_sequence_++;
  item.queued_at = std::chrono::steady_clock::now();
  auto shared = std::make_shared<const FlashQueued>(std::move(item));
  if (shared->kind == RecordKind::kValue) {
    index_.SetQueued(shared);
  } else {
    queued_bytes_ += shared->queue_bytes();
  }
  queue_.push_back(std::move(shared));
  if (queue_.size() == 1 || BatchIsDue()) work_.NotifyOne();
}

// Tombstones are never refused: there is at most one for each entry.
bool FlashLogTier::EraseLocked(const CacheKey& id, std::string_view key) {
  if (!index_.Erase(id)) return false;
  if (!failed_)
    Enqueue({RecordKind::kTombstone, id, std::string(key), {}, 0, {}});
  return true;
}

Status FlashLogTier::Put(std::string_view key, const CacheValue& value,
                         WhenFull when_full) {
  RETURN_IF_ERROR(CheckCacheEntry(key, value.bytes.size()));
  FlashQueued item{
      RecordKind::kValue, CacheKey::Of(key), std::string(key), value, 0, {}};
  if (item.total_bytes() > geometry_.room_bytes())
    return MakeError(Code::kInvalid, "flash tier: larger than a segment");
  const uint64_t cost = item.queue_bytes();
  {
    const MutexLock lock(mutex_);
    while (!failed_ && queued_bytes_ != 0 &&
           queued_bytes_ + cost > options_.queue_bytes) {
      if (when_full == WhenFull::kDrop) {
        ++stats_.dropped;
        EraseLocked(item.id, key);
        return MakeError(Code::kExhausted, "flash tier: its queue is full");
      }
      written_.Wait(mutex_);
    }
    if (failed_) {
      index_.Erase(item.id);
      return Failed();
    }
    queued_bytes_ += cost;
  }
  item.value.bytes = SharedBytes::Copy(value.bytes.span());
  const MutexLock lock(mutex_);
  if (failed_) {
    queued_bytes_ -= cost;
    index_.Erase(item.id);
    return Failed();
  }
  ++stats_.inserts;
  Enqueue(std::move(item));
  return Ok();
}

bool FlashLogTier::Erase(std::string_view key) {
  const CacheKey id = CacheKey::Of(key);
  const MutexLock lock(mutex_);
  return EraseLocked(id, key);
}

void FlashLogTier::EraseAll() {
  const MutexLock lock(mutex_);
  index_.Clear();
  if (!failed_) Enqueue({RecordKind::kClear, {}, "", {}, 0, {}});
}

Status FlashLogTier::Flush() {
  const MutexLock lock(mutex_);
  const uint64_t last = next_sequence_ - 1;
  flush_sequence_ = std::max(flush_sequence_, last);
  work_.NotifyOne();
  while (!failed_ && written_sequence_ < last) written_.Wait(mutex_);
  return failed_ ? Status(Failed()) : Ok();
}

FlashTierStats FlashLogTier::Stats() const {
  const MutexLock lock(mutex_);
  FlashTierStats stats = stats_;
  stats.device_bytes = device_->size();
  stats.segment_bytes = geometry_.segment_bytes;
  stats.segment_count = geometry_.segment_count;
  stats.entry_count = index_.entry_count();
  stats.live_bytes = index_.live_bytes();
  stats.index_bytes = index_.memory_bytes();
  stats.queued_bytes = queued_bytes_;
  stats.failed = failed_;
  return stats;
}

}  // namespace morsel
