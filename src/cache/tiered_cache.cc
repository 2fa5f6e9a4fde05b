// SPDX-License-Identifier: Apache-2.0
// Why no old value comes back: everything that moves, replaces or removes a
// value in either tier does so under the memory tier's lock, which comes before
// the flash tier's; the flash tier only queues, so no I/O is done under it.
//
// - An eviction puts the victim into flash. A dirty one replaces what flash
//   has; a clean one is put only if flash has lost it.
// - Set and Remove erase what flash has in the same step, and wait for the
//   tombstone afterwards, without the lock.
// - A promotion reads flash without the lock. It puts into memory only if
//   memory has nothing and flash still has the very version that was read.
#include "cache/tiered_cache.h"

#include <algorithm>
#include <utility>

namespace morsel {
namespace {

// Numbers above those of every earlier start of the process.
constexpr int kCasBitsPerSecond = 24;

Error Absent() { return MakeError(Code::kNotFound, "not in the cache"); }

}  // namespace

Result<std::unique_ptr<TieredCache>> TieredCache::Make(
    TieredCacheOptions options, Clock& clock) {
  MemoryTierOptions memory = options.memory;
  std::unique_ptr<TieredCache> cache(
      new TieredCache(std::move(options), clock));
  memory.on_evict = [self = cache.get()](std::string_view key,
                                         const CacheValue& value, bool clean) {
    self->OnEvict(key, value, clean);
  };
  ASSIGN_OR_RETURN(cache->memory_, MemoryTier::Make(std::move(memory), clock));
  return cache;
}

TieredCache::TieredCache(TieredCacheOptions options, Clock& clock)
    : clock_(clock),
      promote_at_use_(options.promote_at_use),
      observe_(std::move(options.observe)),
      flash_(std::move(options.flash)),
      next_cas_(static_cast<uint64_t>(clock.UnixSeconds())
                << kCasBitsPerSecond) {
  // A restart within the same second.
  if (flash_ != nullptr)
    next_cas_ = std::max(next_cas_.load(), flash_->Stats().highest_cas);
}

TieredCache::~TieredCache() = default;

void TieredCache::Observe(CacheStep step, EvictionPolicy::Time begun) const {
  if (observe_) observe_(step, clock_.Now() - begun);
}

// Under the memory tier's lock.
void TieredCache::OnEvict(std::string_view key, const CacheValue& value,
                          bool clean) {
  if (flash_ == nullptr) return;
  if (clean && flash_->Contains(key)) return;
  // What flash refuses is counted there, and is lost: it is a cache.
  (void)flash_->Put(key, value, FlashTier::WhenFull::kDrop);
}

Result<CacheValue> TieredCache::GetFromFlash(std::string_view key) {
  ASSIGN_OR_RETURN(FlashTier::Found found, flash_->Get(key));
  if (found.uses < promote_at_use_) return std::move(found.value);
  const auto is_current = [&](const CacheValue* existing) {
    if (existing != nullptr) return false;
    const auto header = flash_->Find(key);
    return header.ok() && header->sequence == found.sequence;
  };
  // No room in memory, or another was faster: the value is as good.
  if (memory_->Put(key, found.value, /*clean=*/true, is_current).ok())
    ++promotions_;
  return std::move(found.value);
}

Result<CacheValue> TieredCache::Get(std::string_view key) {
  const auto begun = clock_.Now();
  Result<CacheValue> value = memory_->Get(key);
  CacheStep step = CacheStep::kMemoryHit;
  if (!value.ok() && flash_ != nullptr) {
    step = CacheStep::kFlashHit;
    value = GetFromFlash(key);
    // It may have come into memory after the first look, and left flash before
    // the second.
    if (!value.ok() && value.error().code == Code::kNotFound)
      value = memory_->Peek(key);
  }
  if (!value.ok() && value.error().code == Code::kNotFound) value = Absent();
  Observe(value.ok() ? step : CacheStep::kMiss, begun);
  return value;
}

std::optional<uint64_t> TieredCache::CurrentCas(
    std::string_view key, const CacheValue* in_memory) const {
  if (in_memory != nullptr) return in_memory->cas;
  if (flash_ == nullptr) return std::nullopt;
  const auto header = flash_->Find(key);
  if (!header.ok()) return std::nullopt;
  return header->cas;
}

std::optional<uint64_t> TieredCache::CasOf(std::string_view key) const {
  const Result<CacheValue> in_memory = memory_->Peek(key);
  return CurrentCas(key, in_memory.ok() ? &*in_memory : nullptr);
}

Result<ValueBuffer> TieredCache::Allocate(size_t byte_count) {
  return memory_->Allocate(byte_count);
}

Result<uint64_t> TieredCache::Set(std::string_view key, const CacheValue& value,
                                  Mode mode) {
  const auto begun = clock_.Now();
  CacheValue stored = value;
  stored.cas = next_cas_.fetch_add(1) + 1;
  bool was_there = false;
  bool was_on_flash = false;
  const auto replace = [&](const CacheValue* in_memory) {
    const auto current = CurrentCas(key, in_memory);
    was_there = current.has_value();
    if (mode == Mode::kIfAbsent && was_there) return false;
    if (mode == Mode::kIfPresent && !was_there) return false;
    if (mode == Mode::kIfCas && (!was_there || *current != value.cas))
      return false;
    was_on_flash = flash_ != nullptr && flash_->Erase(key);
    return true;
  };
  const Status status = memory_->Put(key, stored, /*clean=*/false, replace);
  if (!status.ok() && status.error().code == Code::kExists && !was_there)
    return Absent();
  // A tombstone that cannot be written is flash's trouble, which it reports.
  if (was_on_flash) (void)flash_->Flush();
  RETURN_IF_ERROR(status);
  Observe(CacheStep::kSet, begun);
  return stored.cas;
}

Status TieredCache::Remove(std::string_view key) {
  const auto begun = clock_.Now();
  bool was_on_flash = false;
  const bool was_in_memory = memory_->Remove(
      key, [&] { was_on_flash = flash_ != nullptr && flash_->Erase(key); });
  if (was_on_flash) RETURN_IF_ERROR(flash_->Flush());
  Observe(CacheStep::kRemove, begun);
  return was_in_memory || was_on_flash ? Ok() : Status(Absent());
}

Status TieredCache::Clear() {
  memory_->Clear([&] {
    if (flash_ != nullptr) flash_->EraseAll();
  });
  return flash_ == nullptr ? Ok() : flash_->Flush();
}

Status TieredCache::Flush() {
  if (flash_ == nullptr) return Ok();
  for (const std::string& key : memory_->DirtyKeys()) {
    bool is_full = true;
    while (is_full) {
      is_full = false;
      memory_->HandOver(key, [&](const CacheValue& value) {
        const Status put = flash_->Put(key, value, FlashTier::WhenFull::kDrop);
        is_full = !put.ok() && put.error().code == Code::kExhausted;
        return put.ok();
      });
      if (is_full) RETURN_IF_ERROR(flash_->Flush());
    }
  }
  return flash_->Flush();
}

TieredCacheStats TieredCache::Stats() const {
  TieredCacheStats stats;
  stats.memory = memory_->Stats();
  if (flash_ != nullptr) stats.flash = flash_->Stats();
  stats.promotions = promotions_;
  return stats;
}

}  // namespace morsel
