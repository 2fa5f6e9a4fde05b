// SPDX-License-Identifier: Apache-2.0
// StatsSource: a decorator that counts what a source is asked and says.
//
// Thread safety: thread-safe; a reading is no snapshot. `next` must outlive it.
#pragma once

#include <atomic>

#include "chunk/chunk_source.h"

namespace morsel {

struct ChunkSourceStats {
  uint64_t gets = 0;       // all of them
  uint64_t not_found = 0;  // kNotFound
  uint64_t corrupt = 0;    // kCorrupt
  uint64_t failed = 0;     // every other error
  uint64_t bytes = 0;      // of chunks that were returned
};

class StatsSource final : public ChunkSource {
 public:
  explicit StatsSource(ChunkSource& next) : next_(next) {}

  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override;

  ChunkSourceStats Stats() const;

 private:
  void CountError(Code code);

  ChunkSource& next_;
  std::atomic<uint64_t> gets_{0};
  std::atomic<uint64_t> not_found_{0};
  std::atomic<uint64_t> corrupt_{0};
  std::atomic<uint64_t> failed_{0};
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace morsel
