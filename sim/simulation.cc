// SPDX-License-Identifier: Apache-2.0
#include "simulation.h"

#include "actors.h"
#include "invariants.h"
#include "origin/alarm.h"
#include "origin/root_state.h"

namespace morsel::sim {
namespace {

constexpr int64_t kMaxStepSeconds = 1;
constexpr int kConverters = 3;
constexpr int kQuietPasses = 20;

void AddActors(World& world, Scheduler& scheduler) {
  const auto add = [&](auto run) {
    scheduler.Add([&world, run](Turn& turn) { run(world, turn); });
  };
  for (int i = 0; i < kConverters; ++i) add(RunConverter);
  for (int i = 0; i < 2; ++i) {
    add(RunTagger);
    add(RunCollector);
    add([i](World& w, Turn& t) { RunDevice(w, t, "w" + std::to_string(i)); });
  }
  add([](World& w, Turn& t) { RunPusher(w, t, "registry"); });
  add(RunKeyRotator);
  add(RunOperator);
}

// Nobody acts but one collector and one operator, and time goes by.
void Quiet(World& world) {
  world.faults = false;
  world.held.clear();
  for (int i = 0; i < kQuietPasses; ++i) {
    ++world.step;
    world.now += world.gc.min_retired.count() + 1;
    const auto alarms = ListAlarms(world.store, /*all=*/false);
    if (!alarms.ok()) return world.Violate(alarms.error().message);
    for (const ShownAlarm& alarm : *alarms)
      if (const Status done = AcknowledgeAlarm(world.store, alarm); !done.ok())
        world.Violate(done.error().message);
    const auto report =
        CollectGarbage(world.store, world.store_clock, world.gc);
    if (!report.ok()) return world.Violate(report.error().message);
    if (!report->first_error.ok())
      world.Violate(report->first_error.error().message);
  }
}

}  // namespace

RunResult Simulate(const WorldOptions& options) {
  World world(options);
  Origin origin(world.store, world.store_clock);
  for (int i = 0; i < 2; ++i)
    if (const auto made = origin.CreateRoot(world.keys, world.random, "", "");
        !made.ok())
      world.Violate(made.error().message);
  Scheduler scheduler(world.rng);
  AddActors(world, scheduler);
  RunResult result;
  result.steps = scheduler.Run([&] {
    ++world.step;
    world.now += static_cast<int64_t>(world.rng() % (kMaxStepSeconds + 1));
  });
  Quiet(world);
  CheckEnd(world);
  if (const auto roots = LoadRoots(world.store); roots.ok())
    for (const Root& root : *roots) {
      ++result.roots;
      if (root.Is(kRootDeleted)) ++result.deleted;
    }
  if (const auto alarms = ListAlarms(world.store, /*all=*/true); alarms.ok())
    result.alarms = alarms->size();
  result.violations = std::move(world.violations);
  return result;
}

}  // namespace morsel::sim
