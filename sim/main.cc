// SPDX-License-Identifier: Apache-2.0
// morsel-sim [COUNT [FIRST]]: runs COUNT seeds (1000) from FIRST (1) on; prints
// each seed whose run breaks an invariant, and exits with 1 if one did. One
// seed alone (COUNT = 1) reproduces a failure.
//
// morsel-sim crashes: every crash point of every act, without chance.
// morsel-sim pairs [2]: every act asleep at each of its operations while
// another one runs; with 2, that one up to each of its own.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "explore.h"
#include "simulation.h"

namespace {

int Print(const morsel::sim::Exploration& done) {
  for (const std::string& what : done.violations)
    std::printf("%s\n", what.c_str());
  std::printf("%llu operations, %llu runs: %zu violations\n",
              static_cast<unsigned long long>(done.operations),
              static_cast<unsigned long long>(done.runs),
              done.violations.size());
  return done.violations.empty() ? 0 : 1;
}

int RunSeeds(uint64_t count, uint64_t first) {
  morsel::sim::RunResult sum;
  uint64_t broken = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const auto run = morsel::sim::Simulate({.seed = seed});
    sum.steps += run.steps;
    sum.roots += run.roots;
    sum.deleted += run.deleted;
    sum.alarms += run.alarms;
    if (run.violations.empty()) continue;
    ++broken;
    std::printf("seed %llu: broken\n", static_cast<unsigned long long>(seed));
    for (const std::string& what : run.violations)
      std::printf("  %s\n", what.c_str());
  }
  std::printf(
      "%llu seeds, %llu steps, %llu roots (%llu deleted), %llu alarms: "
      "%llu broken\n",
      static_cast<unsigned long long>(count),
      static_cast<unsigned long long>(sum.steps),
      static_cast<unsigned long long>(sum.roots),
      static_cast<unsigned long long>(sum.deleted),
      static_cast<unsigned long long>(sum.alarms),
      static_cast<unsigned long long>(broken));
  return broken == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a long run is watched
  const std::string_view what = argc > 1 ? argv[1] : "1000";
  const std::string_view more = argc > 2 ? argv[2] : "1";
  if (what == "crashes") return Print(morsel::sim::ExploreCrashPoints());
  if (what == "pairs")
    return Print(morsel::sim::ExploreInterleavings(more == "2" ? 2 : 1));
  return RunSeeds(std::strtoull(what.data(), nullptr, 10),
                  std::strtoull(more.data(), nullptr, 10));
}
