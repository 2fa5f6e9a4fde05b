// SPDX-License-Identifier: Apache-2.0
#include "cache/value_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, length) ((void)(at), (void)(length))
#define ASAN_UNPOISON_MEMORY_REGION(at, length) ((void)(at), (void)(length))
#endif

namespace morsel {

Result<std::shared_ptr<ValueHeap>> ValueHeap::Make(uint64_t max_bytes) {
  const uint64_t byte_count = RoundUp(max_bytes, kGranuleBytes);
  void* const base = mmap(nullptr, byte_count, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return ErrnoError(errno, "memory tier: map " + HumanSize(byte_count));
  return std::shared_ptr<ValueHeap>(std::unique_ptr<ValueHeap>(
      new ValueHeap(static_cast<std::byte*>(base), byte_count)));
}

ValueHeap::ValueHeap(std::byte* base, uint64_t byte_count)
    : base_(base), byte_count_(byte_count) {
  const MutexLock lock(mutex_);
  granules_.resize(byte_count / kGranuleBytes);
  AddHole(0, byte_count);
  ASAN_POISON_MEMORY_REGION(base_, byte_count_);
}

ValueHeap::~ValueHeap() {
  ASAN_UNPOISON_MEMORY_REGION(base_, byte_count_);
  munmap(base_, byte_count_);
}

void ValueHeap::AddHole(uint64_t offset, uint64_t length) {
  holes_.emplace(offset, length);
  by_length_.emplace(length, offset);
}

void ValueHeap::RemoveHole(uint64_t offset, uint64_t length) {
  holes_.erase(offset);
  by_length_.erase({length, offset});
}

// Whether the run may be used: it touches nothing new, or as much can be given
// back elsewhere.
bool ValueHeap::HasBudget(uint64_t offset, uint64_t length,
                          uint64_t budget_bytes) const {
  uint64_t untouched = 0;
  uint64_t empty = 0;
  for (uint64_t number = offset / kGranuleBytes;
       number <= (offset + length - 1) / kGranuleBytes; ++number) {
    if (!granules_[number].touched) ++untouched;
    if (empty_.contains(number)) ++empty;
  }
  const uint64_t needed = touched_bytes_ + untouched * kGranuleBytes;
  const uint64_t spare = (empty_.size() - empty) * kGranuleBytes;
  return untouched == 0 || needed - std::min(needed, spare) <= budget_bytes;
}

// Marks [offset, offset + length) as used or as free, granule by granule.
void ValueHeap::Account(uint64_t offset, uint64_t length, bool is_used) {
  const uint64_t end = offset + length;
  used_bytes_ += is_used ? length : -length;
  while (offset < end) {
    const uint64_t number = offset / kGranuleBytes;
    const uint64_t next = std::min(end, (number + 1) * kGranuleBytes);
    const auto part = static_cast<uint32_t>(next - offset);
    Granule& granule = granules_[number];
    if (is_used) {
      if (!granule.touched) touched_bytes_ += kGranuleBytes;
      granule.touched = true;
      if (granule.used_bytes == 0) empty_.erase(number);
      granule.used_bytes += part;
    } else {
      granule.used_bytes -= part;
      if (granule.used_bytes == 0) empty_.insert(number);
    }
    offset = next;
  }
}

void ValueHeap::GiveBack(uint64_t granule) {
  // It cannot fail for a private mapping of our own.
  (void)madvise(base_ + granule * kGranuleBytes, kGranuleBytes, MADV_DONTNEED);
  granules_[granule].touched = false;
  touched_bytes_ -= kGranuleBytes;
}

void ValueHeap::TrimLocked(uint64_t budget_bytes) {
  while (touched_bytes_ > budget_bytes && !empty_.empty()) {
    const uint64_t last = *empty_.rbegin();
    empty_.erase(last);
    GiveBack(last);
  }
}

void ValueHeap::Trim(uint64_t budget_bytes) {
  const MutexLock lock(mutex_);
  TrimLocked(budget_bytes);
}

std::optional<ValueBuffer> ValueHeap::Allocate(size_t size,
                                               uint64_t budget_bytes) {
  const uint64_t length = RoundUp(std::max<size_t>(size, 1), kUnitBytes);
  uint64_t offset = 0;
  {
    const MutexLock lock(mutex_);
    const auto best = by_length_.lower_bound({length, 0});
    if (best == by_length_.end()) return std::nullopt;
    const uint64_t hole_length = best->first;
    offset = best->second;
    if (!HasBudget(offset, length, budget_bytes)) return std::nullopt;
    Account(offset, length, true);
    TrimLocked(budget_bytes);
    RemoveHole(offset, hole_length);
    if (hole_length > length) AddHole(offset + length, hole_length - length);
  }
  std::byte* const memory = base_ + offset;
  ASAN_UNPOISON_MEMORY_REGION(memory, size);
  return ValueBuffer(
      std::shared_ptr<std::byte>(
          memory, [heap = shared_from_this(), offset,
                   length](std::byte*) { heap->Free(offset, length); }),
      size);
}

void ValueHeap::Free(uint64_t offset, uint64_t length) {
  ASAN_POISON_MEMORY_REGION(base_ + offset, length);
  const MutexLock lock(mutex_);
  Account(offset, length, false);
  const auto after = holes_.lower_bound(offset);
  if (after != holes_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == offset) {
      const auto [start, extent] = *before;
      RemoveHole(start, extent);
      offset = start;
      length += extent;
    }
  }
  if (after != holes_.end() && offset + length == after->first) {
    const uint64_t extent = after->second;
    RemoveHole(after->first, extent);
    length += extent;
  }
  AddHole(offset, length);
}

bool ValueHeap::Owns(ByteSpan bytes) const {
  return bytes.data() >= base_ && bytes.data() < base_ + byte_count_;
}

uint64_t ValueHeap::touched_bytes() const {
  const MutexLock lock(mutex_);
  return touched_bytes_;
}

uint64_t ValueHeap::used_bytes() const {
  const MutexLock lock(mutex_);
  return used_bytes_;
}

}  // namespace morsel
