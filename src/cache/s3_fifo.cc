// SPDX-License-Identifier: Apache-2.0
#include "cache/s3_fifo.h"

#include <algorithm>

namespace morsel {
namespace {

constexpr uint64_t kSmallPart = 10;  // a tenth of the bytes
constexpr uint8_t kMaxUses = 3;
constexpr size_t kMinGhosts = 64;

}  // namespace

S3FifoPolicy::Queue& S3FifoPolicy::QueueOf(Place place) {
  return place == Place::kSmall  ? small_
         : place == Place::kMain ? main_
                                 : ghosts_;
}

uint64_t& S3FifoPolicy::BytesOf(Place place) {
  return place == Place::kSmall  ? small_bytes_
         : place == Place::kMain ? main_bytes_
                                 : ghost_bytes_;
}

// To the back of the queue of `place`.
void S3FifoPolicy::Move(Queue::iterator node, Place place) {
  BytesOf(node->place) -= node->bytes;
  Queue& from = QueueOf(node->place);
  node->place = place;
  Queue& to = QueueOf(place);
  to.splice(to.end(), from, node);
  BytesOf(place) += node->bytes;
}

void S3FifoPolicy::Insert(const CacheKey& key, uint64_t bytes, Time /*now*/) {
  const auto known = index_.find(key);
  if (known != index_.end()) {
    const auto node = known->second;
    CHECK(node->place == Place::kGhost);
    ghost_bytes_ += bytes - node->bytes;
    node->bytes = bytes;
    node->uses = 0;
    Move(node, Place::kMain);
    return;
  }
  small_bytes_ += bytes;
  index_.emplace(key, small_.insert(small_.end(), Node{key, bytes}));
}

void S3FifoPolicy::Hit(const CacheKey& key, Time /*now*/) {
  const auto known = index_.find(key);
  if (known == index_.end()) return;
  Node& node = *known->second;
  node.uses = std::min<uint8_t>(kMaxUses, static_cast<uint8_t>(node.uses + 1));
}

void S3FifoPolicy::Remove(const CacheKey& key) {
  const auto known = index_.find(key);
  if (known == index_.end()) return;
  const auto node = known->second;
  BytesOf(node->place) -= node->bytes;
  QueueOf(node->place).erase(node);
  index_.erase(known);
}

void S3FifoPolicy::TrimGhosts() {
  const auto limit = std::max(
      kMinGhosts, static_cast<size_t>(static_cast<double>(resident_count()) *
                                      ghosts_per_resident_));
  while (ghosts_.size() > limit) Remove(CacheKey(ghosts_.front().key));
}

// Nothing, if all of the small queue moved to the main one.
std::optional<CacheKey> S3FifoPolicy::EvictSmall() {
  while (!small_.empty()) {
    const auto oldest = small_.begin();
    if (oldest->uses > 1) {
      oldest->uses = 0;
      Move(oldest, Place::kMain);
      continue;
    }
    const CacheKey key = oldest->key;
    Move(oldest, Place::kGhost);
    TrimGhosts();
    return key;
  }
  return std::nullopt;
}

CacheKey S3FifoPolicy::EvictMain() {
  while (main_.front().uses > 0) {
    --main_.front().uses;
    Move(main_.begin(), Place::kMain);
  }
  const CacheKey key = main_.front().key;
  Remove(key);
  return key;
}

std::optional<CacheKey> S3FifoPolicy::Evict(Time /*now*/) {
  if (resident_count() == 0) return std::nullopt;
  const uint64_t all = small_bytes_ + main_bytes_;
  if (main_.empty() || small_bytes_ * kSmallPart >= all) {
    const auto victim = EvictSmall();
    if (victim) return victim;
  }
  return EvictMain();
}

bool S3FifoPolicy::Contains(const CacheKey& key) const {
  const auto known = index_.find(key);
  return known != index_.end() && known->second->place != Place::kGhost;
}

uint64_t S3FifoPolicy::bookkeeping_bytes() const {
  constexpr uint64_t kHeapBytes = 16;
  return index_.size() * (sizeof(Node) + 2 * sizeof(void*) + kHeapBytes +
                          sizeof(CacheKey) + 3 * sizeof(void*) + kHeapBytes);
}

}  // namespace morsel
