// SPDX-License-Identifier: Apache-2.0
// Without chance: every crash point of every act, and every act interrupted at
// each of its store operations by every other one.
//
// Thread safety: free functions, independent of each other.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace morsel::sim {

struct Exploration {
  uint64_t runs = 0;
  uint64_t operations = 0;  // at which something happened
  std::vector<std::string> violations;
};

// Each act in each of its stages, with its store failing at the first
// operation, at the second, ... in four ways: the process dies before or after
// it, or it lives on with an error, of an operation that was not done or whose
// answer was lost. Then the act is done again, by a process that nothing
// happens to, every root is taken to its end, and what is published must be
// readable and the rest gone.
Exploration ExploreCrashPoints();

// Each act in each of its stages, asleep before its first operation, its
// second, ... while another one runs: to its end, or, with `preemptions` of
// two, to each of its own operations, whereupon the first one ends.
// And a name that comes to each moment of a rotation and is made good at its
// end, asleep at each of its own operations.
Exploration ExploreInterleavings(int preemptions);

}  // namespace morsel::sim
