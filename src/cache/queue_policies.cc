// SPDX-License-Identifier: Apache-2.0
#include "cache/queue_policies.h"

namespace morsel {

void QueuePolicy::Insert(const CacheKey& key, uint64_t /*bytes*/,
                         Time /*now*/) {
  const auto node = queue_.insert(queue_.end(), Node{key});
  CHECK(index_.emplace(key, node).second);
}

void QueuePolicy::Erase(Queue::iterator node) {
  BeforeErase(node);
  index_.erase(node->key);
  queue_.erase(node);
}

void QueuePolicy::Remove(const CacheKey& key) {
  const auto found = index_.find(key);
  if (found != index_.end()) Erase(found->second);
}

std::optional<CacheKey> QueuePolicy::Evict(Time /*now*/) {
  if (queue_.empty()) return std::nullopt;
  const auto victim = Victim();
  const CacheKey key = victim->key;
  Erase(victim);
  return key;
}

uint64_t QueuePolicy::bookkeeping_bytes() const {
  constexpr uint64_t kHeapBytes = 16;
  return queue_.size() * (sizeof(Node) + 2 * sizeof(void*) + kHeapBytes +
                          sizeof(CacheKey) + 3 * sizeof(void*) + kHeapBytes);
}

void LruPolicy::Hit(const CacheKey& key, Time /*now*/) {
  const auto found = index_.find(key);
  if (found != index_.end()) queue_.splice(queue_.end(), queue_, found->second);
}

void SievePolicy::Hit(const CacheKey& key, Time /*now*/) {
  const auto found = index_.find(key);
  if (found != index_.end()) found->second->used = true;
}

SievePolicy::Queue::iterator SievePolicy::Victim() {
  if (hand_ == queue_.end()) hand_ = queue_.begin();
  while (hand_->used) {
    hand_->used = false;
    if (++hand_ == queue_.end()) hand_ = queue_.begin();
  }
  return hand_;
}

void SievePolicy::BeforeErase(Queue::iterator node) {
  if (node == hand_) ++hand_;
}

}  // namespace morsel
