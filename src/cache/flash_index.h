// SPDX-License-Identifier: Apache-2.0
// FlashIndex: where each key of the flash tier is, and which of them are hot.
//
// An entry is queued (its value is still in memory, on its way to the device)
// or located. Hot is what the policy keeps resident within its part of the
// room; a use of another entry brings it back there, with its history.
//
// Thread safety: owned by who holds the lock of the tier.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cache/flash_format.h"
#include "cache/policy.h"

namespace morsel {

struct FlashLocation {
  uint64_t segment_id = 0;
  uint32_t offset = 0;       // in the segment
  uint32_t total_bytes = 0;  // of the record
};

// What waits for the writer: a value, a tombstone or a clearing.
struct FlashQueued {
  RecordKind kind = RecordKind::kValue;
  CacheKey id;
  std::string key;
  CacheValue value;
  uint64_t sequence = 0;
  EvictionPolicy::Time queued_at;

  uint64_t total_bytes() const {
    return RoundUp(kRecordHeaderBytes + key.size() + value.bytes.size(),
                   kRecordAlignBytes);
  }
  // Of memory, about.
  uint64_t queue_bytes() const { return total_bytes() + 256; }
};
using FlashQueuedPtr = std::shared_ptr<const FlashQueued>;

struct FlashEntry {
  FlashQueuedPtr queued;   // else it is located
  FlashLocation location;  // where the newest version is
  uint64_t sequence = 0;
  uint64_t cas = 0;
  int64_t expires_unix = 0;
  uint8_t uses = 0;  // capped
};

class FlashIndex {
 public:
  using Time = EvictionPolicy::Time;

  FlashIndex(const FlashGeometry& geometry, const PolicyOptions& policy,
             double hot_part);

  // nullptr: unknown. Valid until the next change.
  FlashEntry* Find(const CacheKey& id);
  const FlashEntry* Find(const CacheKey& id) const;

  // The newest version of a key, not written yet.
  void SetQueued(const FlashQueuedPtr& queued);
  // A version that is on the device now, if it is still the newest one (or as
  // new: it was moved). False if it is not: the record is dead.
  bool SetLocated(const CacheKey& id, uint64_t sequence,
                  const FlashLocation& location, Time now);
  // What a scan found, in the order of the log.
  void Restore(const CacheKey& id, const FlashEntry& located, Time now);
  bool Erase(const CacheKey& id);
  void Clear();

  void Use(const CacheKey& id, FlashEntry& entry, Time now);

  // Forgets what lies in segment `id`, whose slot is written anew; gives how
  // many entries that were.
  uint64_t DropSegment(uint64_t id);
  // The next hot entry that lies in segment `id`, from *cursor on, which moves.
  std::optional<CacheKey> NextHot(uint64_t id, size_t* cursor) const;

  // Of the hot entries that lie in segment `id`.
  uint64_t HotBytesIn(uint64_t id) const;

  size_t entry_count() const { return entries_.size(); }
  uint64_t live_bytes() const { return live_bytes_; }
  uint64_t memory_bytes() const;

 private:
  // Keys that were written to a segment; some of them have moved on.
  struct Segment {
    uint64_t id = 0;
    std::vector<CacheKey> keys;
  };

  Segment& SegmentOf(uint64_t id);
  bool IsLocatedIn(const CacheKey& id, uint64_t segment_id) const;
  void MakeHot(const CacheKey& id, const FlashEntry& entry, Time now);
  void Cool(const CacheKey& id, const FlashEntry& entry);

  const FlashGeometry geometry_;
  const PolicyOptions policy_options_;
  const uint64_t hot_limit_bytes_;
  std::unordered_map<CacheKey, FlashEntry> entries_;
  std::unique_ptr<EvictionPolicy> hot_;  // located entries only
  uint64_t hot_bytes_ = 0;
  uint64_t live_bytes_ = 0;
  std::vector<Segment> segments_;  // by slot
};

}  // namespace morsel
