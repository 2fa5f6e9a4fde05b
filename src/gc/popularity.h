// SPDX-License-Identifier: Apache-2.0
// Finds the names that very many manifests of an active root refer to, and
// publishes them (origin/popular.h), so that converters spread what they seal
// from now on over several objects. It reads manifests without a key.
//
// The manifests are read again only when a root has a quarter more of them
// than when it was counted last (roots/<root>/counted.json).
//
// Counting takes bounded memory (Misra and Gries): with kMaxCounted counters,
// a name is missed if it is in fewer manifests than the threshold and one in
// kMaxCounted of all references together; none is found that is below the
// threshold.
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "chunk/name.h"
#include "store/object_store.h"

namespace morsel {

struct PopularityOptions {
  uint64_t manifests_min = 0;  // that name a popular chunk; 0: none is popular
  uint32_t variants = 16;      // of a root's first list
  size_t thread_count = 8;     // requests in flight
};

// How often names were met, within a fixed number of counters.
class NameCounter {
 public:
  static constexpr size_t kMaxCounted = size_t{1} << 17;

  explicit NameCounter(size_t limit = kMaxCounted) : limit_(limit) {}

  void Add(const ChunkName& name);
  // Met `count` times at least for certain: the most frequent ones first.
  std::vector<ChunkName> AtLeast(uint64_t count, size_t limit) const;

 private:
  // Takes one from each counter; those at zero are free again.
  void TakeOneFromAll();

  const size_t limit_;
  std::unordered_map<ChunkName, uint64_t> counts_;
};

// The number of names that the list has gained. Errors of the store; kCorrupt:
// a manifest or the list is damaged.
Result<uint64_t> PublishPopular(ObjectStore& store, const std::string& root,
                                const PopularityOptions& options);

}  // namespace morsel
