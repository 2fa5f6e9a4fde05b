// SPDX-License-Identifier: Apache-2.0
// EvictionPolicy: which entry of a full cache goes next.
//
// A policy knows keys, sizes and times, never values; who owns the cache tells
// it what comes, is used and goes, and asks it for a victim whenever room is
// needed. Time comes in with each call and may not run backwards by more than
// the races of threads: an earlier time counts as the latest one.
//
// Every call takes O(log n) or less, amortised.
//
// Thread safety: owned by who holds the lock of the cache.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "cache/key.h"

namespace morsel {

class EvictionPolicy {
 public:
  using Time = std::chrono::steady_clock::time_point;

  virtual ~EvictionPolicy() = default;

  // `key` came in: its first use since. Requires: it is not resident.
  virtual void Insert(const CacheKey& key, uint64_t bytes, Time now) = 0;
  // `key` was used. Nothing happens if it is not resident: hints come late.
  virtual void Hit(const CacheKey& key, Time now) = 0;
  // `key` was deleted or became invalid: it is forgotten, with its history.
  virtual void Remove(const CacheKey& key) = 0;
  // The victim, resident no more; nothing if there is no resident. What the
  // policy remembers of it is the policy's affair, and bounded.
  virtual std::optional<CacheKey> Evict(Time now) = 0;

  virtual bool Contains(const CacheKey& key) const = 0;
  virtual size_t resident_count() const = 0;
  // Memory that the policy itself takes, history included.
  virtual uint64_t bookkeeping_bytes() const = 0;
};

enum class PolicyKind { kLruK, kLru, kFifo, kS3Fifo, kSieve };

struct PolicyOptions {
  PolicyKind kind = PolicyKind::kLruK;
  // LRU-K alone: see cache/lru_k.h.
  uint32_t k = 2;
  std::chrono::milliseconds correlated_period{5000};
  // How long the history of an evicted entry counts, after its last use.
  std::chrono::milliseconds retained_period{std::chrono::hours(24)};
  // LRU-K and S3-FIFO: at most so many evicted keys are remembered for each
  // resident one.
  double retained_per_resident = 2.0;
};

std::unique_ptr<EvictionPolicy> MakePolicy(const PolicyOptions& options);

// "lru-k", "lru", "fifo", "s3-fifo", "sieve": the setting cache.policy.
std::string_view PolicyName(PolicyKind kind);
// kInvalid names those that exist.
Result<PolicyKind> ParsePolicyKind(std::string_view name);

}  // namespace morsel
