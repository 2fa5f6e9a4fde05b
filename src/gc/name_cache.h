// SPDX-License-Identifier: Apache-2.0
// Names that were seen, as far as a fixed number of places remembers them: a
// name may be forgotten when another one takes its place, but none is ever
// taken for seen that was not.
//
// Memory: up to kMaxPlaces digests, 8 MiB; it grows with the names.
//
// Thread safety: thread-safe.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/mutex.h"
#include "chunk/name.h"

namespace morsel {

class NameCache {
 public:
  static constexpr size_t kMinPlaces = size_t{1} << 8;
  static constexpr size_t kMaxPlaces = size_t{1} << 18;

  bool Contains(const ChunkName& name) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return !places_.empty() && places_[PlaceOf(name)] == name;
  }
  void Add(const ChunkName& name) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (++added_ > places_.size() / 2 && places_.size() < kMaxPlaces) Grow();
    places_[PlaceOf(name)] = name;
  }

 private:
  // Names are hashes: any of their bits are as good as others.
  size_t PlaceOf(const ChunkName& name) const REQUIRES(mutex_) {
    return LoadLe<uint64_t>(name.digest().data()) % places_.size();
  }
  void Grow() REQUIRES(mutex_) {
    const std::vector<ChunkName> old = std::move(places_);
    places_.assign(old.empty() ? kMinPlaces : 4 * old.size(), ChunkName());
    for (const ChunkName& name : old)
      if (name != ChunkName()) places_[PlaceOf(name)] = name;
  }

  Mutex mutex_;
  size_t added_ GUARDED_BY(mutex_) = 0;
  std::vector<ChunkName> places_ GUARDED_BY(mutex_);
};

}  // namespace morsel
