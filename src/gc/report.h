// SPDX-License-Identifier: Apache-2.0
// What people and programs are told of roots and of what a collector did.
//
// Thread safety: free functions and values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "gc/births.h"
#include "gc/collector.h"
#include "store/object_store.h"

namespace morsel {

struct RootUsage {
  std::string root;
  std::string state;
  std::string placement;
  std::string tenant;
  int64_t since_unix_seconds = 0;  // in this state, by the store's clock
  uint64_t manifests = 0;
  uint64_t chunks = 0;
  uint64_t stored_bytes = 0;  // of chunks
  // Of the chunks, those that another root holds too, which is what dedup a
  // rotation costs as long as both are there.
  uint64_t shared_chunks = 0;
  std::vector<Birth> births;  // if they were asked for

  Json ToJson() const;
  std::string ToText() const;
};

// Lists every root's chunks. Memory: 32 bytes for each chunk of the store. With
// `births` reads every manifest too, `thread_count` at once (gc/births.h).
Result<std::vector<RootUsage>> MeasureRoots(ObjectStore& store, bool births,
                                            size_t thread_count);

Json ToJson(const RootReport& report);
std::string ToText(const RootReport& report);

}  // namespace morsel
