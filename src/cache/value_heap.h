// SPDX-License-Identifier: Apache-2.0
// ValueHeap: a heap for values with a hard limit of real memory.
//
// The general allocator knows no limit, and its holes count against nobody. So
// the values of a memory tier lie in one mapping, from which runs are cut by
// best fit, in units of 64 bytes, and joined again when they are freed. Memory
// counts from the moment when it is first touched, by granules of 64 KiB;
// granules in which nothing lies can be given back to the kernel. A run
// belongs to whoever still holds its value: the heap outlives its readers, and
// what they hold still counts.
//
// Best fit because the sizes of stripes and chunks are few: an evicted value
// leaves a hole that just fits the next one.
//
// Cost: O(log n) in the number of holes.
// Thread safety: thread-safe; the lock is a leaf.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "cache/shared_bytes.h"

namespace morsel {

class ValueHeap : public std::enable_shared_from_this<ValueHeap> {
 public:
  static constexpr uint64_t kUnitBytes = 64;
  static constexpr uint64_t kGranuleBytes = 64 * kKiB;

  // Reserves addresses, no memory. kExhausted, kIo: mmap's errors.
  static Result<std::shared_ptr<ValueHeap>> Make(uint64_t max_bytes);
  ~ValueHeap();
  ValueHeap(const ValueHeap&) = delete;
  ValueHeap& operator=(const ValueHeap&) = delete;

  // A run of `size` bytes, if there is a hole for it and touched_bytes() stays
  // within `budget_bytes`; else nothing: free something. Its content is
  // undefined.
  std::optional<ValueBuffer> Allocate(size_t size, uint64_t budget_bytes)
      EXCLUDES(mutex_);
  // Gives empty granules back until touched_bytes() is within `budget_bytes`,
  // or there are none left.
  void Trim(uint64_t budget_bytes) EXCLUDES(mutex_);

  // Whether `bytes` lie in this heap.
  bool Owns(ByteSpan bytes) const;

  // Memory that the heap takes from the machine.
  uint64_t touched_bytes() const EXCLUDES(mutex_);
  // In runs that somebody holds.
  uint64_t used_bytes() const EXCLUDES(mutex_);

 private:
  struct Granule {
    uint32_t used_bytes = 0;
    bool touched = false;
  };

  ValueHeap(std::byte* base, uint64_t byte_count);

  void Free(uint64_t offset, uint64_t length) EXCLUDES(mutex_);
  void AddHole(uint64_t offset, uint64_t length) REQUIRES(mutex_);
  void RemoveHole(uint64_t offset, uint64_t length) REQUIRES(mutex_);
  bool HasBudget(uint64_t offset, uint64_t length, uint64_t budget_bytes) const
      REQUIRES(mutex_);
  void Account(uint64_t offset, uint64_t length, bool is_used) REQUIRES(mutex_);
  void GiveBack(uint64_t granule) REQUIRES(mutex_);
  void TrimLocked(uint64_t budget_bytes) REQUIRES(mutex_);

  std::byte* const base_;
  const uint64_t byte_count_;
  mutable Mutex mutex_;
  std::map<uint64_t, uint64_t> holes_ GUARDED_BY(mutex_);  // offset, length
  std::set<std::pair<uint64_t, uint64_t>> by_length_ GUARDED_BY(mutex_);
  std::vector<Granule> granules_ GUARDED_BY(mutex_);
  std::set<uint64_t> empty_ GUARDED_BY(mutex_);  // touched, nothing in them
  uint64_t touched_bytes_ GUARDED_BY(mutex_) = 0;
  uint64_t used_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace morsel
