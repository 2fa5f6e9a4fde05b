// SPDX-License-Identifier: Apache-2.0
// What a node counts of its commands and connections; what is cached stands in
// TieredCacheStats.
//
// Thread safety: atomics.
#pragma once

#include <atomic>
#include <cstdint>

namespace morsel {

struct NodeStats {
  using Count = std::atomic<uint64_t>;

  int64_t started_unix = 0;
  Count connections_now{0};
  Count connections{0};
  Count connections_refused{0};  // over the limit
  Count bytes_read{0};
  Count bytes_written{0};
  Count get_hits{0};
  Count get_misses{0};
  Count get_errors{0};      // damaged or unreadable on flash, told as misses
  Count sets{0};            // storage commands with a value
  Count store_failures{0};  // no memory
  Count touches{0};
  Count delete_hits{0};
  Count delete_misses{0};
  Count arithmetic_hits{0};
  Count arithmetic_misses{0};
  Count cas_hits{0};
  Count cas_misses{0};
  Count cas_bad{0};
  Count flushes{0};
  Count denied{0};  // commands that want the operator's certificate
  Count protocol_errors{0};
};

}  // namespace morsel
