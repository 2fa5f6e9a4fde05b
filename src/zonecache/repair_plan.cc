// SPDX-License-Identifier: Apache-2.0
#include "zonecache/repair_plan.h"

#include <algorithm>

namespace morsel {
namespace {

using Kind = PlaceState::Kind;

class Planner {
 public:
  Planner(std::span<const PlaceState> places, bool fill_unknown)
      : places_(places),
        fill_unknown_(fill_unknown),
        taken_(places.size()),
        reserved_(places.size()) {}

  std::vector<StripePut> Run() {
    FindNeedy();
    Reserve();
    // First those that can have the index of their own number.
    for (const uint32_t place : needy_)
      if (!taken_[place]) Assign(place, place);
    for (const uint32_t place : needy_) {
      if (IsServed(place)) continue;
      if (const auto index = FreeIndex()) Assign(place, *index);
    }
    return std::move(puts_);
  }

 private:
  bool Holds(const PlaceState& state) const {
    return state.kind == Kind::kHit && state.index < places_.size();
  }

  void FindNeedy() {
    for (uint32_t i = 0; i < places_.size(); ++i) {
      const PlaceState& state = places_[i];
      if (Holds(state) && !taken_[state.index]) {
        taken_[state.index] = true;
      } else if (state.kind == Kind::kMiss || state.kind == Kind::kBad ||
                 state.kind == Kind::kHit ||
                 (state.kind == Kind::kUnknown && fill_unknown_)) {
        needy_.push_back(i);
      }
    }
  }

  // What a silent place probably holds is given away last.
  void Reserve() {
    for (uint32_t i = 0; i < places_.size(); ++i)
      if (places_[i].kind == Kind::kUnknown || places_[i].kind == Kind::kAway)
        reserved_[i] = true;
  }

  bool IsServed(uint32_t place) const {
    return std::any_of(puts_.begin(), puts_.end(), [&](const StripePut& put) {
      return put.place == place;
    });
  }

  std::optional<uint32_t> FreeIndex() const {
    for (const bool reserved : {false, true})
      for (uint32_t i = 0; i < taken_.size(); ++i)
        if (!taken_[i] && reserved_[i] == reserved) return i;
    return std::nullopt;
  }

  void Assign(uint32_t place, uint32_t index) {
    const PlaceState& state = places_[place];
    taken_[index] = true;
    StripePut put{place, index, std::nullopt};
    if (state.kind == Kind::kBad || state.kind == Kind::kHit)
      put.cas = state.cas;
    puts_.push_back(put);
  }

  const std::span<const PlaceState> places_;
  const bool fill_unknown_;
  std::vector<bool> taken_;     // by index
  std::vector<bool> reserved_;  // by index
  std::vector<uint32_t> needy_;
  std::vector<StripePut> puts_;
};

}  // namespace

std::vector<StripePut> PlanRepair(std::span<const PlaceState> places,
                                  bool fill_unknown) {
  return Planner(places, fill_unknown).Run();
}

}  // namespace morsel
