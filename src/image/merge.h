// SPDX-License-Identifier: Apache-2.0
// Merge: the layers of an image become one tree (OCI image spec, "Applying
// changesets"; docs/ARCHITECTURE.md, the life of an image).
//
// Within a layer the order of the tar does not matter: of several entries for
// one path the last counts; whiteouts act on lower layers only; then entries
// are placed from the root downwards, and hard links last. Parents that are
// symlinks are followed inside the root; a parent that nobody has an entry
// for is a directory, 0755, root's, of time 0. A directory over a directory
// changes its attributes and keeps its entries; anything else over anything
// is new. Attributes of a hard link's own entry are passed over: the inode
// has them.
//
// Thread safety: owned by one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ext4/tree.h"
#include "image/records.h"

namespace morsel {

// What ext4 can keep: 1901-12-13 to 2446-05-10, in seconds since 1970.
inline constexpr int64_t kMinTime = -(int64_t{1} << 31);
inline constexpr int64_t kMaxTime = (int64_t{1} << 34) - (int64_t{1} << 31) - 1;
// ext4's limit on the names of one inode.
inline constexpr uint32_t kMaxLinks = 65'000;

struct MergedImage {
  Tree tree;
  std::vector<std::string> warnings;
};

class Merger {
 public:
  virtual ~Merger() = default;

  static std::unique_ptr<Merger> Create();

  // Applies the next layer on top of those before. kInvalid names the layer
  // and the entry: a parent that is no directory, a symlink that leaves the
  // root or loops, a hard link to what is not there. After an error only
  // destruct.
  virtual Status Apply(const LayerRecords& layer) = 0;
  // The tree of all layers. Call once, at the end.
  virtual MergedImage Finish() = 0;
};

// All of it: each layer's records are freed once they are applied.
Result<MergedImage> MergeLayers(std::vector<LayerRecords> layers);

}  // namespace morsel
