// SPDX-License-Identifier: Apache-2.0
// StatsStore: a decorator that counts calls, errors and bytes for each
// operation.
//
// Thread safety: thread-safe; a reading is no snapshot.
#pragma once

#include <array>
#include <atomic>

#include "store/filter_store.h"

namespace morsel {

struct StoreOpStats {
  uint64_t calls = 0;
  uint64_t errors = 0;  // answers such as kNotFound and kExists among them
  uint64_t bytes = 0;   // read or written by calls that succeeded
};

class StatsStore final : public FilterStore {
 public:
  explicit StatsStore(ObjectStore& next) : FilterStore(next) {}

  StoreOpStats Of(StoreOp op) const;

 private:
  struct Counters {
    std::atomic<uint64_t> calls{0};
    std::atomic<uint64_t> errors{0};
    std::atomic<uint64_t> bytes{0};
  };
  Status After(const StoreCall& call, const Status& answer) override;

  std::array<Counters, kStoreOpCount> counters_;
};

}  // namespace morsel
