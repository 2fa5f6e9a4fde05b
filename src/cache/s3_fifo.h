// SPDX-License-Identifier: Apache-2.0
// S3-FIFO (Yang et al., SOSP 2023): three queues. What comes in waits in a
// small one (a tenth of the bytes); what was used more than once by its end
// moves to the main one, the rest leaves and is remembered in the ghost one. A
// ghost that comes back goes to the main queue at once. The main queue gives
// each entry another round for each use, up to three.
//
// Thread safety: as EvictionPolicy.
#pragma once

#include <list>
#include <unordered_map>

#include "cache/policy.h"

namespace morsel {

class S3FifoPolicy final : public EvictionPolicy {
 public:
  explicit S3FifoPolicy(double ghosts_per_resident)
      : ghosts_per_resident_(ghosts_per_resident) {}

  void Insert(const CacheKey& key, uint64_t bytes, Time now) override;
  void Hit(const CacheKey& key, Time now) override;
  void Remove(const CacheKey& key) override;
  std::optional<CacheKey> Evict(Time now) override;
  bool Contains(const CacheKey& key) const override;
  size_t resident_count() const override {
    return small_.size() + main_.size();
  }
  uint64_t bookkeeping_bytes() const override;

 private:
  enum class Place { kSmall, kMain, kGhost };
  struct Node {
    CacheKey key;
    uint64_t bytes = 0;
    Place place = Place::kSmall;
    uint8_t uses = 0;
  };
  using Queue = std::list<Node>;

  Queue& QueueOf(Place place);
  uint64_t& BytesOf(Place place);
  void Move(Queue::iterator node, Place place);
  void TrimGhosts();
  std::optional<CacheKey> EvictSmall();
  CacheKey EvictMain();

  const double ghosts_per_resident_;
  Queue small_, main_, ghosts_;  // the oldest first
  uint64_t small_bytes_ = 0, main_bytes_ = 0, ghost_bytes_ = 0;
  std::unordered_map<CacheKey, Queue::iterator> index_;
};

}  // namespace morsel
