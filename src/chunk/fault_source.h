// SPDX-License-Identifier: Apache-2.0
// FaultSource: a decorator that fails as it is told, repeatably for a seed.
//
// Thread safety: thread-safe; with several threads, which call is the n-th is
// up to their race. `next` must outlive it.
#pragma once

#include <optional>
#include <random>
#include <vector>

#include "base/mutex.h"
#include "chunk/chunk_source.h"

namespace morsel {

struct ChunkFaultRule {
  enum class Kind {
    kError,    // `next` is not asked
    kFlip,     // one bit of the chunk is flipped
    kTruncate  // the chunk ends in its middle
  };

  Kind kind = Kind::kError;
  Code code = Code::kUnavailable;  // of kError
  std::optional<ChunkName> chunk;  // any, if empty
  uint64_t from_call = 1;  // of the calls that match, the first that fails
  uint64_t call_count = UINT64_MAX;  // how many of them from there
  double probability = 1.0;          // of each of those
};

class FaultSource final : public ChunkSource {
 public:
  FaultSource(ChunkSource& next, std::vector<ChunkFaultRule> rules,
              uint64_t seed);

  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override
      EXCLUDES(mutex_);

 private:
  struct Armed {
    ChunkFaultRule rule;
    uint64_t calls = 0;
  };
  // What happens to one call.
  struct Plan {
    std::optional<Code> error;
    bool flip = false;
    bool truncate = false;
    uint64_t draw = 0;  // which bit
  };
  Plan PlanCall(const ChunkRef& ref) EXCLUDES(mutex_);

  ChunkSource& next_;
  Mutex mutex_;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
  std::vector<Armed> rules_ GUARDED_BY(mutex_);
};

}  // namespace morsel
