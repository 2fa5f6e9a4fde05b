// SPDX-License-Identifier: Apache-2.0
// FaultStore: a decorator that fails as it is told, repeatably for a seed.
//
// Thread safety: thread-safe; with several threads, which call is the n-th is
// up to their race.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "store/filter_store.h"

namespace morsel {

struct FaultRule {
  enum class Kind {
    kError,      // the call is not made
    kLostReply,  // the call is made, and its answer replaced by the error
    kTruncate,   // the second half of what a get returns is missing
    kFlip        // one bit of what a get returns is flipped
  };

  Kind kind = Kind::kError;
  Code code = Code::kUnavailable;  // of kError and kLostReply
  std::optional<StoreOp> op;       // any, if empty
  std::string key_prefix;
  uint64_t from_call = 1;  // of the calls that match, the first that fails
  uint64_t call_count = UINT64_MAX;  // how many of them from there
  double probability = 1.0;          // of each of those
};

class FaultStore final : public FilterStore {
 public:
  FaultStore(ObjectStore& next, std::vector<FaultRule> rules, uint64_t seed);

  Result<ObjectData> Get(std::string_view key, uint64_t offset,
                         uint64_t limit_bytes) override;

 private:
  struct Armed {
    FaultRule rule;
    uint64_t calls = 0;
  };
  Status Before(const StoreCall& call) override EXCLUDES(mutex_);
  Status After(const StoreCall& call, const Status& answer) override
      EXCLUDES(mutex_);
  // Counts the call for the rules of `kind`; the first that fires.
  const FaultRule* Fires(FaultRule::Kind kind, const StoreCall& call)
      EXCLUDES(mutex_);
  uint64_t Draw() EXCLUDES(mutex_);

  Mutex mutex_;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
  std::vector<Armed> rules_ GUARDED_BY(mutex_);
};

}  // namespace morsel
