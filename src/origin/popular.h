// SPDX-License-Identifier: Apache-2.0
// Popular chunks: names that very many manifests refer to (paper.md §2, salts
// by popularity). An object that is in every image takes every image down with
// it; so a converter that meets one of them seals it once more with another
// salt, one of `variants`, chosen by the repository. The same content is then
// stored up to `variants` times, and no object is in more than about one of
// `variants` of the images.
//
// The list lies at roots/<root>/popular (docs/formats.md, "Popular chunks"). It
// only grows while the root lives; each growth has a higher version, which
// stands in the manifests that were made with it. So a convert is
// deterministic for a root, a repository and a list.
//
// Thread safety: values and free functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chunk/name.h"
#include "store/object_store.h"

namespace morsel {

inline constexpr uint32_t kMaxPopularVariants = 1024;
inline constexpr size_t kMaxPopularNames = 100'000;

struct PopularList {
  uint32_t version = 0;          // 0: there is no list
  uint32_t variants = 1;         // 1: nothing is sealed anew
  std::vector<ChunkName> names;  // sorted, each once

  bool Contains(const ChunkName& name) const;
  // Which of the variants the images of a repository get.
  uint32_t VariantOf(std::string_view repository) const;
};

std::string PopularKey(const std::string& root);
std::string EncodePopular(const PopularList& list);
// kCorrupt says what is wrong, and in which line.
Result<PopularList> DecodePopular(std::string_view text);

// An empty list of version 0 if there is none. kCorrupt.
Result<PopularList> ReadPopular(ObjectStore& store, const std::string& root);
// Adds names by compare-and-swap; those that are there already change nothing.
// `variants` is that of a list that is new. The list afterwards. kExhausted:
// it would have more than kMaxPopularNames.
Result<PopularList> GrowPopular(ObjectStore& store, const std::string& root,
                                std::span<const ChunkName> names,
                                uint32_t variants);

}  // namespace morsel
