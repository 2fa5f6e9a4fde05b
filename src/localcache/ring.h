// SPDX-License-Identifier: Apache-2.0
// A ring of hits: one client tells the daemon which slots it used, without a
// system call. Lossy: who writes never waits, old entries are overwritten.
// What it says is a hint for eviction and never trusted: numbers are checked
// by who uses them, and a drain takes a bounded number of entries, so that one
// client cannot drown the others.
//
// The file: u32 magic, u32 capacity, then at byte 64 the number of entries
// ever written (u64), from byte 128 on u32 slots. It is a memory file sealed
// against resizing, so neither side can make the other fault.
//
// Thread safety: HitRing::Record is thread-safe and lock-free; HitRingDrain
// belongs to one thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "localcache/shared_mapping.h"

namespace morsel {

inline constexpr uint32_t kRingCapacity = 4096;

// The client's end.
class HitRing {
 public:
  // kInvalid: no ring of this layout; kIo.
  static Result<HitRing> Map(const Fd& file);
  // Goes on in another ring, under the writers' hands.
  Status ReplaceWith(const Fd& file);
  void Record(uint32_t slot) const;

 private:
  SharedMapping mapping_;
};

// The daemon's end.
class HitRingDrain {
 public:
  // Makes the ring. kIo, kExhausted.
  static Result<HitRingDrain> Make();
  // For the client.
  const Fd& file() const { return file_; }
  // The slots recorded since the last time: the latest `limit` at most.
  std::vector<uint32_t> Drain(uint32_t limit);
  // How many the client says it had recorded before that: for statistics.
  uint64_t last_count() const { return last_count_; }

 private:
  Fd file_;
  SharedMapping mapping_;
  uint64_t seen_ = 0;
  uint64_t last_count_ = 0;
};

}  // namespace morsel
