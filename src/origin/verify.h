// SPDX-License-Identifier: Apache-2.0
// Reads every chunk of an image from the origin and checks it, without a key:
// what `morsel verify` does.
//
// Thread safety: a free function.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "chunk/name.h"
#include "origin/origin.h"

namespace morsel {

inline constexpr size_t kMaxListedDamages = 1000;

struct ChunkDamage {
  uint32_t index = 0;  // the chunk begins at index * kChunkSize
  ChunkName name;
  std::string what;  // missing, truncated, altered or unreadable, and where
};

struct VerifyReport {
  uint64_t checked_chunks = 0;
  uint64_t checked_bytes = 0;
  uint64_t damaged_chunks = 0;
  std::vector<ChunkDamage> damages;  // kMaxListedDamages at most, by index
};

// Reads with `thread_count` threads; `on_progress` is told the bytes of each
// chunk, by several threads at once. Damage is in the report, not an error,
// but for sizes in the record that are not the manifest's (kCorrupt);
// an origin that does not answer or denies access is: kUnavailable, kTimeout,
// kDenied, kExhausted.
Result<VerifyReport> VerifyImage(
    Origin& origin, const ResolvedImage& image, size_t thread_count,
    const std::function<void(uint64_t)>& on_progress = {});

}  // namespace morsel
