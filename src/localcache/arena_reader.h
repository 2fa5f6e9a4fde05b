// SPDX-License-Identifier: Apache-2.0
// The arena as an agent sees it: mapped read-only, all of it.
//
// Thread safety: thread-safe; no locks, no system calls, no allocation in
// Find.
#pragma once

#include <memory>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "chunk/chunk_source.h"
#include "localcache/arena_layout.h"
#include "localcache/shared_mapping.h"

namespace morsel {

struct ArenaFind {
  enum class Outcome {
    kHit,      // `view` is set; ask it still_valid() after use
    kMiss,     // not there, or being changed
    kChanged,  // was given away while it was checked: look again
    kBadPage,  // a CRC does not fit, under an unchanged generation: report it
  };
  Outcome outcome = Outcome::kMiss;
  uint32_t slot = 0;
  std::optional<ChunkView> view;
};

class ArenaReader {
 public:
  // kInvalid: no arena of this build's layout; kIo.
  static Result<std::unique_ptr<ArenaReader>> Map(const Fd& arena);

  // Looks for the chunk and checks the CRCs of the pages that hold `length`
  // bytes from `offset` on; of none if `length` is 0. Requires: offset + length
  // within ref.stored_length.
  ArenaFind Find(const ChunkRef& ref, uint32_t offset, uint32_t length) const;

  // True if `arena` is the very file that is mapped here.
  bool IsSameFile(const Fd& arena) const;

 private:
  ArenaReader() = default;
  uint32_t AllocatedPieces() const;
  ArenaFind CheckSlot(uint32_t slot, const NameWords& name, const ChunkRef& ref,
                      uint32_t offset, uint32_t length) const;

  SharedMapping mapping_;
  ArenaMap<const std::byte> map_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
};

}  // namespace morsel
