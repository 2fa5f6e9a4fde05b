// SPDX-License-Identifier: Apache-2.0
#include "cache/lru_k.h"

#include <algorithm>

namespace morsel {
namespace {

// "Never used": before every real use, so that it sorts first.
constexpr EvictionPolicy::Time kNever = EvictionPolicy::Time::min();
// So that a cache that shrinks to nothing does not forget all at once.
constexpr size_t kMinRetained = 64;
// What the allocator takes for the nodes of a block: list and hash map with
// one bucket, 16 bytes each for the heap; and for the set.
constexpr uint64_t kHeapBytes = 16;
constexpr uint64_t kSetNodeBytes = 40 + kHeapBytes;

}  // namespace

bool LruKPolicy::GoesFirst::operator()(const Blocks::iterator& a,
                                       const Blocks::iterator& b) const {
  for (uint32_t i = k; i-- > 0;)
    if (a->history[i] != b->history[i]) return a->history[i] < b->history[i];
  return a->use_number < b->use_number;
}

LruKPolicy::LruKPolicy(const PolicyOptions& options)
    : k_(options.k),
      correlated_period_(options.correlated_period),
      retained_period_(options.retained_period),
      retained_per_resident_(options.retained_per_resident),
      by_history_(GoesFirst{options.k}) {
  CHECK(k_ >= 1 && k_ <= kMaxK);
}

LruKPolicy::Time LruKPolicy::Advance(Time now) {
  latest_ = std::max(latest_, now);
  return latest_;
}

LruKPolicy::Blocks& LruKPolicy::ListOf(Place place) {
  return place == Place::kRecent ? recent_
         : place == Place::kAged ? aged_
                                 : retained_;
}

void LruKPolicy::Age(Time now) {
  while (!recent_.empty() && now - recent_.front().last > correlated_period_) {
    const auto block = recent_.begin();
    block->place = Place::kAged;
    aged_.splice(aged_.end(), recent_, block);
    by_history_.insert(block);
  }
}

// A new, uncorrelated use.
void LruKPolicy::BeginUse(Block& block, Time now) {
  const auto burst = block.last - block.history[0];
  for (uint32_t i = k_ - 1; i > 0; --i) {
    const Time older = block.history[i - 1];
    block.history[i] = older == kNever ? kNever : older + burst;
  }
  block.history[0] = now;
  block.use_number = ++uses_;
}

void LruKPolicy::Use(Block& block, Time now) {
  if (now - block.last > correlated_period_) BeginUse(block, now);
  block.last = now;
}

void LruKPolicy::Insert(const CacheKey& key, uint64_t /*bytes*/, Time now) {
  now = Advance(now);
  TrimRetained(now);
  const auto known = blocks_.find(key);
  if (known != blocks_.end()) {
    const auto block = known->second;
    CHECK(block->place == Place::kRetained);
    Use(*block, now);
    block->place = Place::kRecent;
    recent_.splice(recent_.end(), retained_, block);
    return;
  }
  Block block{key, {}, now, ++uses_, Place::kRecent};
  block.history.fill(kNever);
  block.history[0] = now;
  blocks_.emplace(key, recent_.insert(recent_.end(), block));
}

void LruKPolicy::Hit(const CacheKey& key, Time now) {
  now = Advance(now);
  const auto known = blocks_.find(key);
  if (known == blocks_.end() || known->second->place == Place::kRetained)
    return;
  const auto block = known->second;
  Blocks& list = ListOf(block->place);
  if (block->place == Place::kAged) by_history_.erase(block);
  Use(*block, now);
  block->place = Place::kRecent;
  recent_.splice(recent_.end(), list, block);
}

void LruKPolicy::Forget(Blocks::iterator block) {
  blocks_.erase(block->key);
  ListOf(block->place).erase(block);
}

void LruKPolicy::Remove(const CacheKey& key) {
  const auto known = blocks_.find(key);
  if (known == blocks_.end()) return;
  if (known->second->place == Place::kAged) by_history_.erase(known->second);
  Forget(known->second);
}

std::optional<CacheKey> LruKPolicy::Evict(Time now) {
  now = Advance(now);
  Age(now);
  if (resident_count() == 0) return std::nullopt;
  const auto victim =
      by_history_.empty() ? recent_.begin() : *by_history_.begin();
  if (victim->place == Place::kAged) by_history_.erase(by_history_.begin());
  Blocks& list = ListOf(victim->place);
  victim->place = Place::kRetained;
  retained_.splice(retained_.end(), list, victim);
  const CacheKey key = victim->key;
  TrimRetained(now);
  return key;
}

void LruKPolicy::TrimRetained(Time now) {
  const auto limit = std::max(
      kMinRetained, static_cast<size_t>(static_cast<double>(resident_count()) *
                                        retained_per_resident_));
  while (!retained_.empty() &&
         (retained_.size() > limit ||
          now - retained_.front().last > retained_period_))
    Forget(retained_.begin());
}

bool LruKPolicy::Contains(const CacheKey& key) const {
  const auto known = blocks_.find(key);
  return known != blocks_.end() && known->second->place != Place::kRetained;
}

uint64_t LruKPolicy::bookkeeping_bytes() const {
  constexpr uint64_t kBlockBytes =
      sizeof(Block) + 2 * sizeof(void*) + kHeapBytes +    // list node
      sizeof(CacheKey) + 3 * sizeof(void*) + kHeapBytes;  // map node, bucket
  return blocks_.size() * kBlockBytes + by_history_.size() * kSetNodeBytes;
}

}  // namespace morsel
