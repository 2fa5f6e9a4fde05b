// SPDX-License-Identifier: Apache-2.0
// Flights: what the local cache fetches, and the order in which that is done.
//
// A flight is one chunk on its way, however many wait for it. It goes through
// two queues: `near` for what is on this machine or a short way off (arena,
// flash, zone cache), `far` for the origin. In each, who was read on demand
// goes before what is prefetched, else in the order of arrival; a demand that
// joins a queued prefetch raises it.
//
// The origin's slots are bounded: N in all, of which a quarter is kept for
// flights that a device older than 30 s waits for, so that a flood of starts
// never stops who runs already; and prefetches take half of them at most.
// Nothing that is queued is ever dropped.
//
// Thread safety: owned by who holds the pipeline's lock.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "chunk/chunk_source.h"

namespace morsel {

// A device is starting for so long.
inline constexpr std::chrono::seconds kStartingTime(30);

// kNotFound (in no root that was asked for), kCorrupt (every copy is damaged),
// kTimeout, kUnavailable and what else the origin says. If it is ok and not
// `in_arena` (which was full of chunks that are just being written), `bytes`
// is set; for who asked for bytes it always is.
struct FetchAnswer {
  Status status;
  bool in_arena = false;
  std::shared_ptr<const Bytes> bytes;
};

struct Flight {
  using Answer = std::function<void(const FetchAnswer&)>;

  ChunkRef ref;                    // its root is not used
  std::vector<std::string> roots;  // each once, tried in this order
  size_t roots_tried = 0;
  // Images of those who wait, each once: they may have moved.
  std::vector<std::string> manifests;
  std::vector<Answer> answers;
  // Whether those who wait for a prefetch are still there.
  std::vector<std::function<bool()>> wanters;
  Deadline deadline{};                  // the latest of all who wait
  Deadline attached = Deadline::max();  // the oldest device that waits
  bool demand = false;
  bool owned = false;
  bool suspect = false;
  bool running = false;  // a thread has it
  bool far = false;      // it is past the near queue
  bool damaged = false;  // a tier's copy was; its thread's alone
  Status error;          // the worst that a root said; its thread's alone
  uint64_t ticket = 0;   // of its place in a queue; 0: in none
};
using FlightPtr = std::shared_ptr<Flight>;

class FlightQueue {
 public:
  // Queues a flight, or moves it to where it belongs now.
  void Push(const FlightPtr& flight);
  // The first that `may_go`, or null. O(n), and n is bounded by the threads of
  // all devices and what each of them prefetches at once.
  FlightPtr Take(const std::function<bool(const Flight&)>& may_go);
  size_t size() const { return size_; }

 private:
  // A flight that moved leaves its old entry behind, with another ticket.
  struct Entry {
    FlightPtr flight;
    uint64_t ticket;
  };
  std::deque<Entry> demands_;
  std::deque<Entry> prefetches_;
  size_t size_ = 0;
  uint64_t tickets_ = 0;
};

// Which flights may take one of the origin's slots.
class OriginSlots {
 public:
  explicit OriginSlots(uint32_t count)
      : count_(count),
        young_limit_(count - (count > 1 ? std::max(1u, count / 4) : 0)),
        prefetch_limit_(std::max(1u, count / 2)) {}

  bool MayGo(const Flight& flight, Deadline now) const;
  // What a flight was when it took its slot: to be given back as that.
  struct Held {
    bool young = false;
    bool prefetch = false;
  };
  Held Take(const Flight& flight, Deadline now);
  void Release(Held held);
  uint32_t in_use() const { return in_use_; }

 private:
  static Held KindOf(const Flight& flight, Deadline now) {
    return {now - flight.attached < kStartingTime, !flight.demand};
  }

  const uint32_t count_;
  const uint32_t young_limit_;
  const uint32_t prefetch_limit_;
  uint32_t in_use_ = 0;
  uint32_t young_ = 0;
  uint32_t prefetches_ = 0;
};

}  // namespace morsel
