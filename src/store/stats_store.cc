// SPDX-License-Identifier: Apache-2.0
#include "store/stats_store.h"

namespace morsel {

StoreOpStats StatsStore::Of(StoreOp op) const {
  const Counters& counters = counters_[static_cast<size_t>(op)];
  return {counters.calls, counters.errors, counters.bytes};
}

Status StatsStore::After(const StoreCall& call, const Status& answer) {
  Counters& counters = counters_[static_cast<size_t>(call.op)];
  ++counters.calls;
  if (answer.ok())
    counters.bytes += call.byte_count;
  else
    ++counters.errors;
  return answer;
}

}  // namespace morsel
