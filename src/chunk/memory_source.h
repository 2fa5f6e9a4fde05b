// SPDX-License-Identifier: Apache-2.0
// MemorySource: chunks in a map. The smallest tier there is: the model that
// other tiers are tested against.
//
// Thread safety: thread-safe.
#pragma once

#include <unordered_map>

#include "base/mutex.h"
#include "chunk/chunk_sink.h"
#include "chunk/chunk_source.h"

namespace morsel {

class MemorySource final : public ChunkSource, public ChunkSink {
 public:
  // kNotFound; kTimeout if `want.deadline` has passed at the call. The root is
  // not looked at.
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override
      EXCLUDES(mutex_);
  void Offer(const ChunkRef& ref, ByteSpan ciphertext) override
      EXCLUDES(mutex_);

  size_t chunk_count() const EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::unordered_map<ChunkName, Bytes> chunks_ GUARDED_BY(mutex_);
};

}  // namespace morsel
