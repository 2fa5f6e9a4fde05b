// SPDX-License-Identifier: Apache-2.0
// CoalesceSource: a decorator that asks the next source once for a chunk,
// however many want it at that moment.
//
// Of those who want a chunk, one asks the next source on its own thread, with
// its own root and deadline; the others wait for that answer, each until its
// own deadline. If the root of who asked has no such chunk, another whose root
// was not tried asks next; if the deadline of who asked passes, so does
// another. Every other error is the answer for all, so that a tier in trouble
// gets no more load from those who wait.
//
// The next source is always asked for the whole chunk. A demand that joins a
// prefetch does not raise it: put this in front of sources that know no order.
//
// Thread safety: thread-safe; `next` must outlive it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/mutex.h"
#include "chunk/chunk_source.h"

namespace morsel {

class CoalesceSource final : public ChunkSource {
 public:
  explicit CoalesceSource(ChunkSource& next) : next_(next) {}

  // Errors: those of `next`; kTimeout at want.deadline.
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override
      EXCLUDES(mutex_);

  // Calls that wait for another's answer at this moment.
  size_t waiting() const EXCLUDES(mutex_);

 private:
  // All members are guarded by mutex_, but for `bytes`, which is immutable
  // from the moment when `done` is set.
  struct Flight {
    bool asking = false;  // someone asks `next`
    bool done = false;    // `bytes` or `error` is the answer for all
    std::map<std::string, size_t> roots;  // of those who take part
    std::set<std::string> tried;          // roots without that chunk
    size_t member_count = 0;
    CondVar changed;
    std::shared_ptr<const Bytes> bytes;
    Error error;
  };
  // A chunk under another length is another flight: only one can be right.
  using Key = std::pair<ChunkName, uint32_t>;
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return std::hash<ChunkName>()(key.first) ^ key.second;
    }
  };
  using FlightPtr = std::shared_ptr<Flight>;

  FlightPtr Join(const Key& key, const std::string& root) REQUIRES(mutex_);
  void Leave(const Key& key, const FlightPtr& flight, const std::string& root)
      REQUIRES(mutex_);
  // Waits until this caller shall ask, the flight is done, or `deadline`.
  enum class Turn { kAsk, kAnswer, kLate };
  Turn AwaitTurn(const Key& key, const FlightPtr& flight,
                 const std::string& root, Deadline deadline) REQUIRES(mutex_);
  // Asks `next`; the answer for this caller, or nothing if it is the flight's
  // or another's turn.
  std::optional<Result<ChunkView>> Ask(const FlightPtr& flight, const Key& key,
                                       const ChunkRef& ref, const Want& want)
      EXCLUDES(mutex_);
  void End(const Key& key, const FlightPtr& flight) REQUIRES(mutex_);

  ChunkSource& next_;
  mutable Mutex mutex_;
  std::unordered_map<Key, FlightPtr, KeyHash> flights_ GUARDED_BY(mutex_);
  size_t waiting_ GUARDED_BY(mutex_) = 0;
};

}  // namespace morsel
