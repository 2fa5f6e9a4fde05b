// SPDX-License-Identifier: Apache-2.0
// What a directory holds now, and what it held when a lower layer was done.
//
// The earlier state is worked out from where layers put nodes and when names
// went away. It is a good guess, not a promise: a second name of a node whose
// first is gone is not known. A wrong guess costs sharing, nothing else.
//
// Thread safety: used by one thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ext4/directory.h"
#include "ext4/order.h"
#include "ext4/tree.h"

namespace morsel {

class DirectoryStates {
 public:
  // `inodes`: number by node; filled in later by the caller, once known.
  DirectoryStates(const Tree& tree, const PathOrder& order,
                  const std::vector<uint32_t>& inodes)
      : tree_(tree), order_(order), inodes_(inodes) {}

  // The visible entries of directory `rank`, sorted by name. The result is
  // good until the next call of either.
  std::span<const DirectoryItem> Now(uint32_t rank);
  // Those that it had when `layer` was done.
  std::span<const DirectoryItem> AsOf(uint32_t rank, uint16_t layer);

  // Whether both are the same bytes: names, inode numbers and types.
  bool SameAsNow(uint32_t rank, uint16_t layer);
  // The same for the states that two layers left.
  bool SameAsOf(uint32_t rank, uint16_t layer, uint16_t other);

 private:
  struct Candidate {
    std::string_view name;
    uint32_t node = 0;
  };
  bool Same(const Candidate& a, const Candidate& b) const;
  bool SameAs(const std::vector<Candidate>& other) const;
  std::span<const TreeEntry> EntriesOf(uint32_t rank) const;
  void CollectNow(uint32_t rank);
  void CollectAsOf(uint32_t rank, uint16_t layer);
  std::span<const DirectoryItem> MakeItems();

  const Tree& tree_;
  const PathOrder& order_;
  const std::vector<uint32_t>& inodes_;
  std::vector<Candidate> candidates_;
  std::vector<DirectoryItem> items_;
};

}  // namespace morsel
