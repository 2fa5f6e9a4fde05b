// SPDX-License-Identifier: Apache-2.0
// KnownChunks: which chunks a root has, found out with few requests, so that a
// converter uploads what is missing and nothing else.
//
// Asking for each chunk costs a request a chunk; storing it if it is absent
// even sends its bytes. A list tells 1,000 names a request. So the root's
// names are listed, unless it has so many that this would take more requests
// than a part of the image's chunks; the first page tells how many it has, as
// names are hashes and lie evenly. What was not listed is unknown and is asked
// for one by one.
//
// Nothing is deleted in an active root (docs/ARCHITECTURE.md), so that what was
// seen there stays there until the image is published or refused.
//
// Thread safety: immutable after Load.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "chunk/name.h"
#include "store/object_store.h"

namespace morsel {

class KnownChunks {
 public:
  // kDamaged: it is there with another size.
  enum class Answer { kPresent, kAbsent, kUnknown, kDamaged };
  struct Row {
    ChunkName name;
    uint32_t size_bytes = 0;
  };

  // Errors of the store. `chunk_count` is that of the image.
  static Result<KnownChunks> Load(ObjectStore& store, const std::string& root,
                                  size_t chunk_count);

  Answer Look(const ChunkName& name, uint32_t stored_length) const;
  uint64_t request_count() const { return request_count_; }

 private:
  KnownChunks() = default;

  std::vector<Row> rows_;  // sorted by name
  // Names up to here are all in `rows_`, if `has_end_`; else everything is.
  ChunkName end_;
  bool has_end_ = false;
  uint64_t request_count_ = 0;
};

}  // namespace morsel
