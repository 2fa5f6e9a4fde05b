// SPDX-License-Identifier: Apache-2.0
// Which stripes are put where, once it is known what the places of a chunk
// hold. Pure.
//
// A place that has nothing gets a stripe that no other place holds, by `add`;
// so does one whose stripe was found bad or is held twice, by `cas` with the
// token of what was found there. Nothing else is ever replaced.
//
// Thread safety: a free function.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace morsel {

struct PlaceState {
  enum class Kind {
    kUnknown,  // not asked, or no answer in time
    kAway,     // the node is down
    kMiss,
    kHit,
    kBad,  // holds what is no stripe of this chunk
  };
  Kind kind = Kind::kUnknown;
  uint32_t index = 0;     // of the stripe, for kHit
  uint64_t cas = 0;       // for kHit and kBad
  uint32_t checksum = 0;  // in the stripe's header, for kHit

  bool operator==(const PlaceState&) const = default;
};

struct StripePut {
  uint32_t place = 0;
  uint32_t index = 0;
  std::optional<uint64_t> cas;  // none: add

  bool operator==(const StripePut&) const = default;
};

// `fill_unknown`: an unknown place is tried by `add` too, which changes nothing
// where there is something. An index goes to the place of the same number where
// it can, so that workers who see less do not put it elsewhere.
std::vector<StripePut> PlanRepair(std::span<const PlaceState> places,
                                  bool fill_unknown);

}  // namespace morsel
