// SPDX-License-Identifier: Apache-2.0
#include "cache/memory_tier.h"

#include <algorithm>
#include <cstring>

namespace morsel {
namespace {

constexpr uint64_t kMinBytes = kMiB;
// What an entry takes beside key, value and the policy's part: node and bucket
// of the index, control block of the value, and the allocator's rounding.
constexpr uint64_t kEntryBytes = 256;

}  // namespace

Status CheckCacheEntry(std::string_view key, size_t value_bytes) {
  if (key.empty() || key.size() > kMaxCacheKeyBytes)
    return MakeError(Code::kInvalid, "cache: a key has 1 to " +
                                         std::to_string(kMaxCacheKeyBytes) +
                                         " bytes, not " +
                                         std::to_string(key.size()));
  if (value_bytes > kMaxCacheValueBytes)
    return MakeError(Code::kInvalid, "cache: a value has at most " +
                                         std::to_string(kMaxCacheValueBytes) +
                                         " bytes, not " +
                                         std::to_string(value_bytes));
  return Ok();
}

Result<std::unique_ptr<MemoryTier>> MemoryTier::Make(MemoryTierOptions options,
                                                     Clock& clock) {
  if (options.max_bytes < kMinBytes)
    return MakeError(Code::kInvalid,
                     "memory tier: its limit is at least 1 MiB, not " +
                         HumanSize(options.max_bytes));
  ASSIGN_OR_RETURN(auto heap, ValueHeap::Make(options.max_bytes));
  return std::unique_ptr<MemoryTier>(
      new MemoryTier(std::move(options), clock, std::move(heap)));
}

MemoryTier::MemoryTier(MemoryTierOptions options, Clock& clock,
                       std::shared_ptr<ValueHeap> heap)
    : options_(std::move(options)),
      clock_(clock),
      heap_(std::move(heap)),
      policy_(MakePolicy(options_.policy)) {}

MemoryTier::~MemoryTier() = default;

const MemoryTier::Entry* MemoryTier::Find(const CacheKey& id,
                                          std::string_view key) const {
  const auto found = entries_.find(id);
  return found == entries_.end() || found->second.key != key ? nullptr
                                                             : &found->second;
}

Result<CacheValue> MemoryTier::Peek(std::string_view key) const {
  const CacheKey id = CacheKey::Of(key);
  const int64_t now_unix = clock_.UnixSeconds();
  const MutexLock lock(mutex_);
  const Entry* const entry = Find(id, key);
  if (entry == nullptr || entry->value.ExpiredAt(now_unix))
    return MakeError(Code::kNotFound, "not in the memory tier");
  return entry->value;
}

Result<CacheValue> MemoryTier::Get(std::string_view key) {
  const CacheKey id = CacheKey::Of(key);
  const auto now = clock_.Now();
  const int64_t now_unix = clock_.UnixSeconds();
  const MutexLock lock(mutex_);
  const Entry* const entry = Find(id, key);
  if (entry != nullptr && !entry->value.ExpiredAt(now_unix)) {
    ++stats_.hits;
    policy_->Hit(id, now);
    return entry->value;
  }
  ++stats_.misses;
  if (entry != nullptr) {
    ++stats_.expired;
    Erase(entries_.find(id));
    policy_->Remove(id);
  }
  return MakeError(Code::kNotFound, "not in the memory tier");
}

// The index and the value's reference; the policy is told by the caller.
void MemoryTier::Erase(Entries::iterator entry) {
  key_bytes_ -= entry->second.key.size();
  stats_.value_bytes -= entry->second.value.bytes.size();
  entries_.erase(entry);
}

bool MemoryTier::EvictOne() {
  const std::optional<CacheKey> victim = policy_->Evict(clock_.Now());
  if (!victim) return false;
  const auto entry = entries_.find(*victim);
  // The one that is just being replaced: its memory went already.
  if (entry == entries_.end()) return true;
  ++stats_.evictions;
  if (options_.on_evict && !entry->second.value.ExpiredAt(clock_.UnixSeconds()))
    options_.on_evict(entry->second.key, entry->second.value,
                      entry->second.clean);
  Erase(entry);
  return true;
}

uint64_t MemoryTier::UsedBytes() const {
  return heap_->touched_bytes() + entries_.size() * kEntryBytes + key_bytes_ +
         policy_->bookkeeping_bytes();
}

Result<ValueBuffer> MemoryTier::AllocateLocked(size_t byte_count) {
  while (true) {
    const uint64_t overhead = UsedBytes() - heap_->touched_bytes();
    const uint64_t budget =
        options_.max_bytes -
        std::min(overhead + kEntryBytes, options_.max_bytes);
    auto buffer = heap_->Allocate(byte_count, budget);
    if (buffer) return *std::move(buffer);
    if (!EvictOne()) break;
  }
  ++stats_.refused;
  return MakeError(Code::kExhausted,
                   "memory tier: no room for " + HumanSize(byte_count) +
                       ", readers hold all of it; raise its limit or "
                       "serve fewer at once");
}

Result<ValueBuffer> MemoryTier::Allocate(size_t byte_count) {
  if (byte_count > kMaxCacheValueBytes)
    return CheckCacheEntry("key", byte_count).error();
  const MutexLock lock(mutex_);
  return AllocateLocked(byte_count);
}

Result<SharedBytes> MemoryTier::InHeap(const SharedBytes& bytes) {
  if (heap_->Owns(bytes.span())) return bytes;
  ASSIGN_OR_RETURN(ValueBuffer buffer, AllocateLocked(bytes.size()));
  if (bytes.size() > 0)
    std::memcpy(buffer.span().data(), bytes.span().data(), bytes.size());
  return std::move(buffer).Share();
}

// After growth of what is not in the heap: index, keys, history.
void MemoryTier::KeepLimit() {
  while (UsedBytes() > options_.max_bytes) {
    const uint64_t overhead = UsedBytes() - heap_->touched_bytes();
    heap_->Trim(options_.max_bytes - std::min(overhead, options_.max_bytes));
    if (UsedBytes() > options_.max_bytes && !EvictOne()) return;
  }
}

Status MemoryTier::Put(std::string_view key, const CacheValue& value,
                       bool clean, const Condition& condition) {
  RETURN_IF_ERROR(CheckCacheEntry(key, value.bytes.size()));
  const CacheKey id = CacheKey::Of(key);
  const auto now = clock_.Now();
  const int64_t now_unix = clock_.UnixSeconds();
  const MutexLock lock(mutex_);
  const Entry* const existing = Find(id, key);
  if (condition) {
    const bool is_live =
        existing != nullptr && !existing->value.ExpiredAt(now_unix);
    if (!condition(is_live ? &existing->value : nullptr))
      return MakeError(Code::kExists, "memory tier: the condition failed");
  }
  // Its memory goes first; the policy keeps what it knows of the key.
  const bool was_resident = entries_.contains(id);
  if (was_resident) Erase(entries_.find(id));
  if (was_resident && existing == nullptr) policy_->Remove(id);
  auto bytes = InHeap(value.bytes);
  if (!bytes.ok()) {
    policy_->Remove(id);
    return std::move(bytes).error();
  }
  Entry entry{std::string(key), value, clean};
  entry.value.bytes = std::move(bytes).value();
  key_bytes_ += key.size();
  stats_.value_bytes += entry.value.bytes.size();
  ++stats_.inserts;
  entries_.emplace(id, std::move(entry));
  if (policy_->Contains(id)) {
    policy_->Hit(id, now);
  } else {
    policy_->Insert(id, value.bytes.size(), now);
  }
  KeepLimit();
  return Ok();
}

bool MemoryTier::Remove(std::string_view key,
                        const std::function<void()>& also) {
  const CacheKey id = CacheKey::Of(key);
  const MutexLock lock(mutex_);
  if (also) also();
  if (Find(id, key) == nullptr) return false;
  Erase(entries_.find(id));
  policy_->Remove(id);
  return true;
}

std::vector<std::string> MemoryTier::DirtyKeys() const {
  std::vector<std::string> keys;
  const MutexLock lock(mutex_);
  for (const auto& [id, entry] : entries_)
    if (!entry.clean) keys.push_back(entry.key);
  return keys;
}

void MemoryTier::HandOver(std::string_view key,
                          const std::function<bool(const CacheValue&)>& take) {
  const CacheKey id = CacheKey::Of(key);
  const int64_t now_unix = clock_.UnixSeconds();
  const MutexLock lock(mutex_);
  if (Find(id, key) == nullptr) return;
  Entry& entry = entries_.find(id)->second;
  if (!entry.clean && !entry.value.ExpiredAt(now_unix))
    entry.clean = take(entry.value);
}

void MemoryTier::Clear(const std::function<void()>& also) {
  const MutexLock lock(mutex_);
  if (also) also();
  entries_.clear();
  policy_ = MakePolicy(options_.policy);
  key_bytes_ = 0;
  stats_.value_bytes = 0;
}

MemoryTierStats MemoryTier::Stats() const {
  const MutexLock lock(mutex_);
  MemoryTierStats stats = stats_;
  stats.max_bytes = options_.max_bytes;
  stats.used_bytes = UsedBytes();
  stats.entry_count = entries_.size();
  return stats;
}

}  // namespace morsel
