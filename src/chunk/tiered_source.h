// SPDX-License-Identifier: Apache-2.0
// TieredSource: the nearer tier first, then the next one, whose answer fills
// the nearer one. Tiers of three and more are nested.
//
// Thread safety: thread-safe; both sources and the sink must outlive it.
#pragma once

#include <atomic>

#include "chunk/chunk_sink.h"
#include "chunk/chunk_source.h"

namespace morsel {

struct TieredStats {
  uint64_t first_hits = 0;
  uint64_t misses = 0;     // the first tier does not have it
  uint64_t fallbacks = 0;  // the first tier failed: damaged, away, overloaded
};

class TieredSource final : public ChunkSource {
 public:
  // `fill` is where what came from `next` is offered; null for nowhere.
  TieredSource(ChunkSource& first, ChunkSource& next, ChunkSink* fill)
      : first_(first), next_(next), fill_(fill) {}

  // Errors are those of `next`, but if it has no such chunk and the first tier
  // failed otherwise, the first tier's, which may have it. A fallback is
  // logged.
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override;

  TieredStats Stats() const;

 private:
  ChunkSource& first_;
  ChunkSource& next_;
  ChunkSink* const fill_;
  std::atomic<uint64_t> first_hits_{0};
  std::atomic<uint64_t> misses_{0};
  std::atomic<uint64_t> fallbacks_{0};
};

}  // namespace morsel
