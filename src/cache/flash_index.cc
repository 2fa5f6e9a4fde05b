// SPDX-License-Identifier: Apache-2.0
#include "cache/flash_index.h"

#include <algorithm>
#include <limits>

namespace morsel {

FlashIndex::FlashIndex(const FlashGeometry& geometry,
                       const PolicyOptions& policy, double hot_part)
    : geometry_(geometry),
      policy_options_(policy),
      hot_limit_bytes_(static_cast<uint64_t>(
          static_cast<double>(geometry.room_bytes() * geometry.segment_count) *
          hot_part)),
      hot_(MakePolicy(policy)),
      segments_(geometry.segment_count) {}

FlashEntry* FlashIndex::Find(const CacheKey& id) {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

const FlashEntry* FlashIndex::Find(const CacheKey& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

// Takes a located entry out of what counts as hot.
void FlashIndex::Cool(const CacheKey& id, const FlashEntry& entry) {
  if (!hot_->Contains(id)) return;
  hot_->Remove(id);
  hot_bytes_ -= entry.location.total_bytes;
}

void FlashIndex::MakeHot(const CacheKey& id, const FlashEntry& entry,
                         Time now) {
  if (hot_->Contains(id)) {
    hot_->Hit(id, now);
    return;
  }
  hot_->Insert(id, entry.location.total_bytes, now);
  hot_bytes_ += entry.location.total_bytes;
  while (hot_bytes_ > hot_limit_bytes_) {
    const auto cold = hot_->Evict(now);
    if (!cold) break;
    hot_bytes_ -= entries_.at(*cold).location.total_bytes;
  }
}

bool FlashIndex::Erase(const CacheKey& id) {
  const auto found = entries_.find(id);
  if (found == entries_.end()) return false;
  if (found->second.queued == nullptr) {
    Cool(id, found->second);
    live_bytes_ -= found->second.location.total_bytes;
  }
  entries_.erase(found);
  return true;
}

void FlashIndex::SetQueued(const FlashQueuedPtr& queued) {
  Erase(queued->id);
  FlashEntry& entry = entries_[queued->id];
  entry.queued = queued;
  entry.sequence = queued->sequence;
  entry.cas = queued->value.cas;
  entry.expires_unix = queued->value.expires_unix;
}

FlashIndex::Segment& FlashIndex::SegmentOf(uint64_t id) {
  Segment& segment = segments_[geometry_.SlotOf(id)];
  if (segment.id != id) segment = {id, {}};
  return segment;
}

bool FlashIndex::SetLocated(const CacheKey& id, uint64_t sequence,
                            const FlashLocation& location, Time now) {
  const auto found = entries_.find(id);
  if (found == entries_.end() || found->second.sequence != sequence)
    return false;
  FlashEntry& entry = found->second;
  const bool was_queued = entry.queued != nullptr;
  entry.queued.reset();
  entry.location = location;
  SegmentOf(location.segment_id).keys.push_back(id);
  if (!was_queued) return true;  // moved: as long as before, and still hot
  live_bytes_ += location.total_bytes;
  MakeHot(id, entry, now);
  return true;
}

void FlashIndex::Restore(const CacheKey& id, const FlashEntry& located,
                         Time now) {
  Erase(id);
  FlashEntry& entry = entries_[id];
  entry = located;
  SegmentOf(located.location.segment_id).keys.push_back(id);
  live_bytes_ += located.location.total_bytes;
  MakeHot(id, entry, now);
}

void FlashIndex::Clear() {
  entries_.clear();
  hot_ = MakePolicy(policy_options_);
  hot_bytes_ = live_bytes_ = 0;
  for (Segment& segment : segments_) segment.keys = {};
}

void FlashIndex::Use(const CacheKey& id, FlashEntry& entry, Time now) {
  entry.uses = static_cast<uint8_t>(
      std::min<int>(entry.uses + 1, std::numeric_limits<uint8_t>::max()));
  if (entry.queued == nullptr) MakeHot(id, entry, now);
}

bool FlashIndex::IsLocatedIn(const CacheKey& id, uint64_t segment_id) const {
  const FlashEntry* const entry = Find(id);
  return entry != nullptr && entry->queued == nullptr &&
         entry->location.segment_id == segment_id;
}

uint64_t FlashIndex::DropSegment(uint64_t id) {
  Segment& segment = segments_[geometry_.SlotOf(id)];
  if (segment.id != id) return 0;
  uint64_t dropped = 0;
  for (const CacheKey& key : segment.keys)
    if (IsLocatedIn(key, id) && Erase(key)) ++dropped;
  segment = {};
  return dropped;
}

std::optional<CacheKey> FlashIndex::NextHot(uint64_t id, size_t* cursor) const {
  const Segment& segment = segments_[geometry_.SlotOf(id)];
  if (segment.id != id) return std::nullopt;
  while (*cursor < segment.keys.size()) {
    const CacheKey key = segment.keys[(*cursor)++];
    if (IsLocatedIn(key, id) && hot_->Contains(key)) return key;
  }
  return std::nullopt;
}

uint64_t FlashIndex::HotBytesIn(uint64_t id) const {
  uint64_t bytes = 0;
  size_t cursor = 0;
  while (const auto key = NextHot(id, &cursor))
    bytes += Find(*key)->location.total_bytes;
  return bytes;
}

uint64_t FlashIndex::memory_bytes() const {
  constexpr uint64_t kEntryBytes =
      sizeof(CacheKey) + sizeof(FlashEntry) + 4 * sizeof(void*) + 16;
  uint64_t bytes = entries_.size() * kEntryBytes + hot_->bookkeeping_bytes();
  for (const Segment& segment : segments_)
    bytes += segment.keys.capacity() * sizeof(CacheKey);
  return bytes;
}

}  // namespace morsel
