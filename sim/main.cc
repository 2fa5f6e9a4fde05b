// SPDX-License-Identifier: Apache-2.0
// morsel-sim [COUNT [FIRST]]: runs COUNT seeds (1000) from FIRST (1) on; prints
// each seed whose run breaks an invariant, and exits with 1 if one did. One
// seed alone (COUNT = 1) reproduces a failure.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "simulation.h"

int main(int argc, char** argv) {
  const uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
  const uint64_t first = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a long run is watched
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
