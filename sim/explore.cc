// SPDX-License-Identifier: Apache-2.0
#include "explore.h"

#include <algorithm>
#include <set>
#include <utility>

#include "acts.h"
#include "gc/each_key.h"
#include "gc/references.h"
#include "invariants.h"
#include "origin/chunk_object.h"
#include "origin/record_store.h"
#include "origin/root_state.h"
#include "scheduler.h"
#include "store/fault_store.h"
#include "store/stats_store.h"

namespace morsel::sim {
namespace {

constexpr uint64_t kNever = UINT64_MAX;
constexpr size_t kMaxViolations = 20;

// A world in which nothing happens by chance.
World MakeStillWorld() {
  return World({.seed = 1, .crash_one_in = 0, .sleep_one_in = 0});
}

// Holds each operation to the invariants.
class CheckedStore final : public FilterStore {
 public:
  explicit CheckedStore(World& world)
      : FilterStore(world.store), world_(world) {}

 private:
  Status Before(const StoreCall& call) override {
    CheckBefore(world_, call);
    return Ok();
  }
  Status After(const StoreCall& call, const Status& answer) override {
    if (answer.ok()) CheckAfter(world_, call);
    return answer;
  }

  World& world_;
};

// Gives the baton back before each operation.
class TurnStore final : public FilterStore {
 public:
  TurnStore(ObjectStore& next, Turn& turn) : FilterStore(next), turn_(turn) {}

 private:
  Status Before(const StoreCall&) override {
    turn_.Yield();
    return Ok();
  }

  Turn& turn_;
};

// How one operation fails.
struct Way {
  const char* name;
  bool was_done;
  bool dies;
};
constexpr Way kWays[] = {{"dies before", false, true},
                         {"dies after", true, true},
                         {"fails in", false, false},
                         {"loses the answer of", true, false}};

std::vector<FaultRule> RulesFor(const Way& way, uint64_t operation) {
  using Kind = FaultRule::Kind;
  std::vector<FaultRule> rules;
  rules.push_back({.kind = way.was_done ? Kind::kLostReply : Kind::kError,
                   .from_call = operation,
                   .call_count = 1});
  if (way.dies) rules.push_back({.from_call = operation + 1});
  return rules;
}

// What `name` shows must be just these contents, readable.
void CheckShown(World& world, Origin& origin, uint64_t name,
                const std::vector<uint64_t>& contents) {
  const std::string text = NameOf(name).ToString();
  const auto image = origin.Resolve(NameOf(name));
  if (contents.empty()) {
    if (image.ok()) world.Violate(text + " is still there");
    return;
  }
  if (!image.ok()) return world.Violate(text + ": " + image.error().message);
  if (image->manifest.chunk_count() != contents.size())
    return world.Violate(text + " shows another image");
  for (size_t i = 0; i < contents.size(); ++i) {
    const ManifestChunk chunk = image->manifest.ChunkAt(i);
    const auto bytes = origin.ReadChunk(image->record.root, chunk);
    if (!bytes.ok() || chunk.name != ChunkOf(contents[i]))
      world.Violate(text + ": a chunk is unreadable, or another one");
  }
}

// After a rotation to the end: the one active root holds the chunks of what
// is referenced, and no others.
void CheckNothingElse(World& world) {
  const auto referenced =
      ListReferences(world.store, world.now, world.gc.lease_period);
  if (!referenced.ok()) return world.Violate(referenced.error().message);
  std::set<std::string> wanted;
  for (const auto& [id, reference] : *referenced) {
    const auto record = LoadRecord(world.store, id);
    if (!record.ok()) continue;
    const std::string& root = record->value.root;
    const std::string key = ManifestKey(root, id);
    const auto data = world.store.Get(key, 0, kMiB);
    if (!data.ok()) continue;  // an announcement that was left behind
    wanted.insert(key);
    const auto manifest = Manifest::Parse(CopyBytes(data->bytes));
    for (size_t i = 0; manifest.ok() && i < manifest->chunk_count(); ++i)
      wanted.insert(ChunkKey(root, manifest->ChunkAt(i).name));
  }
  const Status listed = ForEachKey(
      world.store, "roots/", [&](const ObjectPage::Row& row) -> Status {
        const bool is_content =
            row.key.find("/chunks/") != std::string::npos ||
            row.key.find("/manifests/") != std::string::npos;
        if (is_content && !wanted.contains(row.key))
          world.Violate("not referenced, but still there: " + row.key);
        return Ok();
      });
  if (!listed.ok()) world.Violate(listed.error().message);
}

// Takes every root to its end, in a world in which nothing more happens, and
// looks at what is left.
void Settle(World& world, const Shown* shown) {
  CheckedStore checked(world);
  Host host(world, checked, world.store_clock);
  RotateToTheEnd(host);
  if (shown != nullptr)
    for (const auto& [name, contents] : *shown)
      CheckShown(world, host.origin, name, contents);
  CheckNothingElse(world);
  CheckEnd(world);
}

void Report(Exploration& exploration, const std::string& what,
            const World& world) {
  ++exploration.runs;
  for (const std::string& violation : world.violations)
    if (exploration.violations.size() < kMaxViolations)
      exploration.violations.push_back(what + ": " + violation);
}

std::string Describe(const Act& act, Stage stage) {
  return act.name + " in stage " + std::to_string(static_cast<int>(stage));
}

uint64_t CountOperations(const StatsStore& store) {
  uint64_t count = 0;
  for (size_t op = 0; op < kStoreOpCount; ++op)
    count += store.Of(static_cast<StoreOp>(op)).calls;
  return count;
}

// One act, crashed in one way at one operation; false if it has fewer.
bool Crash(const Act& act, Stage stage, const Way& way, uint64_t operation,
           Exploration& exploration) {
  World world = MakeStillWorld();
  Shown shown = Prepare(world, stage);
  CheckedStore checked(world);
  StatsStore counted(checked);
  FaultStore faulty(counted, RulesFor(way, operation), 1);
  Host host(world, faulty, world.store_clock);
  static_cast<void>(act.run(host));
  // What was done, and the one that was not.
  if (CountOperations(counted) + (way.was_done ? 0 : 1) < operation)
    return false;
  if (way.dies) world.held.erase("w1");
  Host again(world, checked, world.store_clock);
  const Status done = act.run(again);
  // No reference may be made to what lies in an expired root.
  if (!done.ok() && stage != Stage::kStranded)
    world.Violate("done again: " + done.error().message);
  for (const auto& [name, contents] : act.shows) {
    if (done.ok())
      shown[name] = contents;
    else
      shown.erase(name);
  }
  Settle(world, &shown);
  Report(exploration,
         Describe(act, stage) + " " + way.name + " operation " +
             std::to_string(operation),
         world);
  return true;
}

void CrashEverywhere(const Act& act, Stage stage, Exploration& exploration) {
  uint64_t count = 0;
  for (const Way& way : kWays) {
    uint64_t operation = 1;
    while (Crash(act, stage, way, operation, exploration)) ++operation;
    count = std::max(count, operation - 1);
  }
  exploration.operations += count;
}

// All that named what `tag` and `attach` look at goes, and its root with it.
void ForgetAndRotate(Host& host) {
  static_cast<void>(host.origin.RemovePointer(NameOf(0)));
  RotateToTheEnd(host);
}

// What may interrupt an act: every act, and hours that go by.
std::vector<Act> Interruptions() {
  std::vector<Act> all = Acts();
  const auto add = [&](const char* name, void (*run)(Host&), Shown shows) {
    all.push_back({name,
                   {},
                   [run](Host& host) {
                     run(host);
                     return Ok();
                   },
                   std::move(shows)});
  };
  add("hours and a pass", LetTimePass, {});
  add("a rotation to the end", RotateToTheEnd, {});
  add("rm and a rotation to the end", ForgetAndRotate, {{0, {}}});
  return all;
}

// Runs two acts by these legs (Scheduler::RunLegs), and takes the world to its
// end. Steps taken in each leg.
std::vector<uint64_t> Interleave(const Act& act, Stage stage, const Act& other,
                                 const std::vector<uint64_t>& legs,
                                 Exploration& exploration) {
  World world = MakeStillWorld();
  Shown shown = Prepare(world, stage);
  // Whose last word counts is up to their order.
  for (const Act* one : {&act, &other})
    for (const auto& [name, contents] : one->shows) shown.erase(name);
  CheckedStore checked(world);
  Scheduler scheduler(world.rng);
  for (const Act* one : {&act, &other})
    scheduler.Add([&, one](Turn& turn) {
      TurnStore store(checked, turn);
      Host host(world, store, world.store_clock);
      const Status done = one->run(host);
      if (one->must_succeed && !done.ok())
        world.Violate(one->name + " failed: " + done.error().message);
    });
  std::vector<uint64_t> taken = scheduler.RunLegs(legs);
  Settle(world, &shown);
  std::string what =
      Describe(act, stage) + " interrupted by " + other.name + ", legs";
  for (const uint64_t leg : legs)
    what += leg == kNever ? " all" : " " + std::to_string(leg);
  Report(exploration, what, world);
  return taken;
}

// `other` runs while `act` sleeps before its operation number `operation`.
// False if `act` has fewer.
bool Interrupt(const Act& act, Stage stage, const Act& other,
               uint64_t operation, int preemptions, Exploration& exploration) {
  if (preemptions == 1)
    return Interleave(act, stage, other, {operation, kNever}, exploration)[0] ==
           operation;
  for (uint64_t second = 1;; ++second) {
    const std::vector<uint64_t> taken =
        Interleave(act, stage, other, {operation, second}, exploration);
    if (taken[0] < operation) return false;
    if (taken[1] < second) return true;
  }
}

}  // namespace

namespace {

// A name for what nobody else names, begun at each moment of a rotation, asleep
// at each of its own, and made good when the rotation has come to its end.
void ExploreLateNames(Exploration& exploration) {
  const std::vector<Act>& acts = Acts();
  const auto tag = std::find_if(acts.begin(), acts.end(), [](const Act& act) {
    return act.name == "tag of garbage";
  });
  const Act rotation = Interruptions().back();
  for (uint64_t operation = 1;
       Interrupt(rotation, Stage::kRetired, *tag, operation, 2, exploration);
       ++operation)
    ++exploration.operations;
}

}  // namespace

Exploration ExploreInterleavings(int preemptions) {
  Exploration exploration;
  ExploreLateNames(exploration);
  for (const Act& act : Acts())
    for (const Stage stage : act.stages)
      for (const Act& other : Interruptions())
        for (uint64_t operation = 1;
             Interrupt(act, stage, other, operation, preemptions, exploration);
             ++operation)
          ++exploration.operations;
  return exploration;
}

Exploration ExploreCrashPoints() {
  Exploration exploration;
  for (const Act& act : Acts())
    for (const Stage stage : act.stages)
      CrashEverywhere(act, stage, exploration);
  return exploration;
}

}  // namespace morsel::sim
