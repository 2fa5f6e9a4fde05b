// SPDX-License-Identifier: Apache-2.0
// Ring: which nodes of the zone cache are asked for the stripes of a chunk.
//
// Consistent hashing (paper.md §4): each node stands at about 1,000 points of a
// ring of 64 bits, times its weight. From the chunk's own point one walks
// counterclockwise to the first node, then to the next distinct ones, one for
// each stripe. Each node of the walk is asked for the stripe that it holds,
// whichever it is: the index stands in the value and not in the key. So a node
// that leaves or joins shifts the walk by one place and costs a chunk one
// stripe at most.
//
// Where there are fewer nodes than stripes the walk goes round again, and the
// keys of further rounds end in `.1`, `.2` and so on, so that one node can hold
// several stripes.
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "chunk/name.h"

namespace morsel {

struct NodeSpec {
  std::string address;  // "host:port", which is the node's identity too
  double weight = 1;    // its share relative to the others, 0.01 to 100

  bool operator==(const NodeSpec&) const = default;
};

// "10.0.0.1:11311, 10.0.0.2:11311*2": addresses, each with a weight behind a
// star if it is not 1. Sorted by address. kInvalid names the entry: no port, a
// weight out of its bounds, or an address that is there twice.
Result<std::vector<NodeSpec>> ParseNodes(std::string_view text);

// Where a stripe of a chunk is looked for.
struct Place {
  uint32_t node = 0;   // index in Ring::nodes()
  uint32_t round = 0;  // how often the walk had been at this node before

  bool operator==(const Place&) const = default;
};

class Ring {
 public:
  static constexpr double kPointsPerWeight = 1000;

  explicit Ring(std::vector<NodeSpec> nodes);

  const std::vector<NodeSpec>& nodes() const { return nodes_; }
  // The places of the chunk's `count` stripes, in the order of the walk; empty
  // if the ring has no nodes.
  std::vector<Place> Walk(const ChunkName& name, uint32_t count) const;

 private:
  struct Point {
    uint64_t position;
    uint32_t node;
  };

  std::vector<NodeSpec> nodes_;
  std::vector<Point> points_;  // by position
};

// The key of a stripe on its node: `<name>.<k>+<r>`, with `.<round>` from the
// second round on.
std::string StripeKey(const ChunkName& name, uint32_t k, uint32_t r,
                      uint32_t round);

}  // namespace morsel
