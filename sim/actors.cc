// SPDX-License-Identifier: Apache-2.0
#include "actors.h"

#include <optional>
#include <string>
#include <vector>

#include "origin/alarm.h"
#include "origin/lease.h"
#include "origin/origin.h"
#include "origin/root_state.h"

namespace morsel::sim {
namespace {

constexpr uint64_t kNames = 4;
constexpr uint64_t kContents = 12;  // distinct chunks
constexpr uint64_t kMaxChunks = 3;
constexpr int kConvertTries = 4;
constexpr int64_t kMaxSkewSeconds = 100'000'000;
constexpr const char* kImageDigest =
    "sha256:"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

// An actor between birth and end: its store, its wrong clock, its origin.
struct Life {
  Life(World& the_world, Turn& turn)
      : world(the_world),
        store(the_world, turn),
        clock(the_world.now,
              static_cast<int64_t>(the_world.rng() % (2 * kMaxSkewSeconds)) -
                  kMaxSkewSeconds / 2),
        origin(store, clock) {}

  World& world;
  ActorStore store;
  SimClock clock;
  Origin origin;
};

// Runs `operation` so many times; a crash ends one of them early.
template <typename Operation>
void Live(World& world, Turn& turn, uint64_t operations, Operation operation) {
  Life life(world, turn);
  for (uint64_t i = 0; i < operations; ++i) {
    life.store.BeBornAgain();
    operation(life);
  }
}

ImageName AnyName(Rng& rng) {
  ImageName name;
  name.repository = "image" + std::to_string(rng() % kNames);
  name.tag = "latest";
  return name;
}

// A manifest that some name shows now.
std::optional<std::string> AnyManifest(Life& life) {
  const auto pointer = life.origin.ReadPointer(AnyName(life.world.rng));
  if (!pointer.ok()) return std::nullopt;
  return pointer->manifest_id;
}

Result<ManifestContents> StoreChunks(Life& life, const WritableRoot& root) {
  Rng& rng = life.world.rng;
  const uint64_t count = 1 + rng() % kMaxChunks;
  ManifestContents contents;
  contents.virtual_size = 16 * kGiB;
  contents.root_of_birth = root.id;
  contents.salt_id = root.salt_id;
  contents.config = "{}";
  contents.keys = SecretBuffer(count * kKeySize);
  for (uint64_t i = 0; i < count; ++i) {
    const Bytes bytes(kPageSize, static_cast<std::byte>(rng() % kContents + 1));
    ManifestChunk chunk;
    chunk.index = static_cast<uint32_t>(i);
    chunk.stored_length = kPageSize;
    chunk.name = ChunkName(Sha256Of(bytes));
    bool was_absent = false;
    RETURN_IF_ERROR(
        life.origin.PutChunk(root.id, chunk.name, bytes, &was_absent));
    contents.chunks.push_back(chunk);
  }
  return contents;
}

Status ConvertInto(Life& life, const ImageName& name,
                   const WritableRoot& root) {
  ASSIGN_OR_RETURN(ManifestContents contents, StoreChunks(life, root));
  const SecretKey data_key = SecretKey::Generate(life.world.random);
  ASSIGN_OR_RETURN(const Manifest manifest,
                   Manifest::Parse(EncodeManifest(contents, data_key)));
  ASSIGN_OR_RETURN(const WrappedKey wrapped,
                   life.world.keys.Wrap(data_key, name.repository));
  RETURN_IF_ERROR(
      life.origin.PublishManifest(root.id, manifest, name.repository, wrapped));
  return life.origin.PublishPointer(
      name, {.image_digest = kImageDigest, .manifest_id = manifest.id()});
}

void Convert(Life& life) {
  const ImageName name = AnyName(life.world.rng);
  for (int i = 0; i < kConvertTries; ++i) {
    const auto root = life.origin.OpenActiveRoot(
        life.world.keys, {.placement = {},
                          .tenant = {},
                          .affinity = std::to_string(life.world.rng())});
    if (!root.ok()) return;
    const Status done = ConvertInto(life, name, *root);
    if (done.ok() || life.store.dead()) return;
  }
}

void TagOrRemove(Life& life) {
  const ImageName name = AnyName(life.world.rng);
  if (OneIn(life.world.rng, 2)) {
    static_cast<void>(life.origin.RemovePointer(name));
    return;
  }
  static_cast<void>(
      life.origin.TagImage(name, AnyName(life.world.rng), life.world.keys));
}

// True if the lease was renewed and holds: the manifest is in a root that no
// collector deletes from.
bool Renew(Life& life, const std::string& id, const std::string& worker) {
  const auto place =
      RenewLease(life.store, life.clock, id, worker, "device of " + worker);
  if (!place.ok()) return false;
  const auto root = LoadRoot(life.store.direct(), place->record.root);
  const auto lease = life.store.direct().Head(LeaseKey(id, worker));
  if (!root.ok() || !lease.ok()) return false;
  if (!root->Is(kRootActive) && !root->Is(kRootRetired)) return false;
  life.world.held[worker] = {id, lease->modified_unix_seconds};
  return true;
}

void HoldDevice(Life& life, const std::string& worker) {
  const std::optional<std::string> id = AnyManifest(life);
  if (!id) return;
  uint64_t renewals = life.world.rng() % 30;
  while (Renew(life, *id, worker) && renewals > 0 && !life.store.dead())
    --renewals;
  life.world.held.erase(worker);
  if (!life.store.dead()) static_cast<void>(EndLease(life.store, *id, worker));
}

void PinOrUnpin(Life& life, const std::string& who) {
  const std::optional<std::string> id = AnyManifest(life);
  if (!id) return;
  if (!PinManifest(life.store, *id, who).ok()) return;
  for (uint64_t i = life.world.rng() % 8; i > 0; --i)
    static_cast<void>(life.origin.ReadRecord(*id));
  static_cast<void>(UnpinManifest(life.store, *id, who));
}

void AddWrapping(Life& life) {
  const std::optional<std::string> id = AnyManifest(life);
  if (!id) return;
  const std::string context = "context" + std::to_string(life.world.rng() % 5);
  const auto wrapped =
      life.world.keys.Wrap(SecretKey::Generate(life.world.random), context);
  static_cast<void>(life.origin.AddWrapping(*id, context, *wrapped));
}

void Operate(Life& life) {
  const auto roots = LoadRoots(life.store);
  if (!roots.ok()) return;
  std::vector<std::string> active;
  for (const Root& root : *roots)
    if (root.Is(kRootActive)) active.push_back(root.id);
  if (active.size() < 2)
    static_cast<void>(
        life.origin.CreateRoot(life.world.keys, life.world.random, "", ""));
  else
    static_cast<void>(RetireRoot(life.store, life.clock,
                                 active[life.world.rng() % active.size()]));
  const auto alarms = ListAlarms(life.store, /*all=*/false);
  if (!alarms.ok()) return;
  for (const ShownAlarm& alarm : *alarms)
    static_cast<void>(AcknowledgeAlarm(life.store, alarm));
}

}  // namespace

void RunConverter(World& world, Turn& turn, uint64_t operations) {
  Live(world, turn, operations, Convert);
}

void RunTagger(World& world, Turn& turn, uint64_t operations) {
  Live(world, turn, operations, TagOrRemove);
}

void RunDevice(World& world, Turn& turn, const std::string& worker,
               uint64_t operations) {
  Live(world, turn, operations, [&](Life& life) {
    life.store.set_punctual(true);
    HoldDevice(life, worker);
  });
}

void RunPusher(World& world, Turn& turn, const std::string& who,
               uint64_t operations) {
  Live(world, turn, operations, [&](Life& life) { PinOrUnpin(life, who); });
}

void RunKeyRotator(World& world, Turn& turn, uint64_t operations) {
  Live(world, turn, operations, AddWrapping);
}

void RunCollector(World& world, Turn& turn, uint64_t operations) {
  Live(world, turn, operations, [](Life& life) {
    static_cast<void>(CollectGarbage(life.store, life.clock, life.world.gc));
  });
}

void RunOperator(World& world, Turn& turn, uint64_t operations) {
  Live(world, turn, operations, Operate);
}

}  // namespace morsel::sim
