// SPDX-License-Identifier: Apache-2.0
// Pass 2: the chunks of a flat image are cut, sealed and stored.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "crypto/secret.h"
#include "ext4/image.h"
#include "manifest/manifest.h"
#include "origin/origin.h"

namespace morsel {

struct UploadOptions {
  // Chooses the variant of popular chunks.
  std::string repository;
  const PopularList& popular;
  // Chunks in work at a time, half a MiB each. More than there are cores,
  // since most of them wait for the store to have written.
  size_t concurrency = 16;
  // Writes also what the origin has already: mends chunks that are damaged
  // though their size is right, which nothing but reading them shows.
  bool rewrite = false;
};

struct UploadedChunks {
  std::vector<ManifestChunk> chunks;  // sorted by index
  SecretBuffer keys;                  // of `chunks`, kKeySize bytes each
  uint64_t new_chunk_count = 0;       // not in the root before
  uint64_t new_bytes = 0;
  uint32_t popular_version = 0;  // of the list that they were sealed with
  uint64_t resealed_count = 0;   // popular chunks, sealed with a variant's salt
  uint64_t rewritten_count = 0;  // over what the origin had
};

// Stores what is not there yet. Errors of the origin and of reading.
Result<UploadedChunks> UploadChunks(const Ext4Image& image, DataSource& source,
                                    const WritableRoot& root, Origin& origin,
                                    const UploadOptions& options,
                                    Progress& progress);

}  // namespace morsel
