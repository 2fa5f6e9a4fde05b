// SPDX-License-Identifier: Apache-2.0
#include "actors.h"

#include <optional>
#include <string>
#include <vector>

#include "origin/lease.h"
#include "origin/root_state.h"
#include "steps.h"

namespace morsel::sim {
namespace {

// So many that few of those who sleep are disturbed by others of their kind.
constexpr uint64_t kNames = 8;
constexpr uint64_t kContents = 12;  // distinct chunks
constexpr uint64_t kMaxChunks = 3;
constexpr uint64_t kPause = 40;  // steps
constexpr int64_t kMaxSkewSeconds = 100'000'000;

// An actor between birth and end.
struct Life {
  Life(World& the_world, Turn& turn)
      : world(the_world),
        store(the_world, turn),
        clock(the_world.now,
              static_cast<int64_t>(the_world.rng() % (2 * kMaxSkewSeconds)) -
                  kMaxSkewSeconds / 2),
        host(the_world, store, clock) {}

  World& world;
  ActorStore store;
  SimClock clock;
  Host host;
};

// Runs `operation` again and again; a crash ends one of them early. Between two
// of them up to `pause_steps` go by.
template <typename Operation>
void Live(World& world, Turn& turn, uint64_t pause_steps, Operation operation) {
  Life life(world, turn);
  while (!world.is_over()) {
    life.store.BeBornAgain();
    operation(life);
    turn.Sleep(world.rng() % pause_steps);
  }
}

ImageName AnyName(Rng& rng) { return NameOf(rng() % kNames); }

// A manifest that some name shows now.
std::optional<std::string> AnyManifest(Life& life) {
  const auto pointer = life.host.origin.ReadPointer(AnyName(life.world.rng));
  if (!pointer.ok()) return std::nullopt;
  return pointer->manifest_id;
}

void ConvertAny(Life& life) {
  Rng& rng = life.world.rng;
  const ImageName name = AnyName(rng);
  std::vector<uint64_t> contents(1 + rng() % kMaxChunks);
  for (uint64_t& content : contents) content = rng() % kContents;
  static_cast<void>(Convert(life.host, name, contents));
}

void TagOrRemove(Life& life) {
  const ImageName name = AnyName(life.world.rng);
  if (OneIn(life.world.rng, 2)) {
    static_cast<void>(life.host.origin.RemovePointer(name));
    return;
  }
  static_cast<void>(life.host.origin.TagImage(name, AnyName(life.world.rng),
                                              life.world.keys));
}

void HoldDevice(Life& life, const std::string& worker) {
  const std::optional<std::string> id = AnyManifest(life);
  if (!id) return;
  uint64_t renewals = life.world.rng() % 30;
  while (RenewDevice(life.host, *id, worker) && renewals > 0 &&
         !life.store.dead())
    --renewals;
  DetachDevice(life.host, *id, worker);
}

void PinOrUnpin(Life& life, const std::string& who) {
  const std::optional<std::string> id = AnyManifest(life);
  if (!id) return;
  if (!Pin(life.host, *id, who).ok()) return;
  for (uint64_t i = life.world.rng() % 8; i > 0; --i)
    static_cast<void>(life.host.origin.ReadRecord(*id));
  static_cast<void>(Unpin(life.host, *id, who));
}

void WrapAgain(Life& life) {
  const std::optional<std::string> id = AnyManifest(life);
  if (!id) return;
  static_cast<void>(AddWrapping(life.host, *id, life.world.rng() % 5));
}

void Operate(Life& life) {
  const auto roots = LoadRoots(life.store);
  if (!roots.ok()) return;
  std::vector<std::string> active;
  for (const Root& root : *roots)
    if (root.Is(kRootActive)) active.push_back(root.id);
  if (active.size() < 2)
    static_cast<void>(MakeRoot(life.host));
  else
    static_cast<void>(RetireRoot(life.store, life.clock,
                                 active[life.world.rng() % active.size()]));
  static_cast<void>(Acknowledge(life.host));
}

}  // namespace

void RunConverter(World& world, Turn& turn) {
  Live(world, turn, kPause, ConvertAny);
}

void RunTagger(World& world, Turn& turn) {
  Live(world, turn, kPause, TagOrRemove);
}

void RunDevice(World& world, Turn& turn, const std::string& worker) {
  Live(world, turn, kPause, [&](Life& life) {
    life.store.set_punctual(true);
    HoldDevice(life, worker);
  });
}

void RunPusher(World& world, Turn& turn, const std::string& who) {
  Live(world, turn, kPause, [&](Life& life) { PinOrUnpin(life, who); });
}

void RunKeyRotator(World& world, Turn& turn) {
  Live(world, turn, 2 * kPause, WrapAgain);
}

void RunCollector(World& world, Turn& turn) {
  Live(world, turn, kPause, [](Life& life) {
    static_cast<void>(CollectGarbage(life.store, life.clock, life.world.gc));
  });
}

void RunOperator(World& world, Turn& turn) {
  Live(world, turn, 4 * kPause, Operate);
}

}  // namespace morsel::sim
