// SPDX-License-Identifier: Apache-2.0
#include "invariants.h"

#include <set>

#include "gc/each_key.h"
#include "manifest/manifest.h"
#include "origin/alarm.h"
#include "origin/chunk_object.h"
#include "origin/lease.h"
#include "origin/record_store.h"
#include "origin/root_state.h"

namespace morsel::sim {
namespace {

// At work at once.
constexpr uint64_t kCollectors = 3;

// The root in "roots/<root>/..."; empty for other keys.
std::string RootOfKey(std::string_view key) {
  constexpr std::string_view kPrefix = "roots/";
  if (!key.starts_with(kPrefix)) return "";
  const std::string root(key.substr(kPrefix.size(), 13));
  return IsRootId(root) ? root : "";
}

bool IsUnder(std::string_view key, std::string_view folder) {
  return key.starts_with(folder);
}

// The part of "folder/<id>..." that is a manifest's id.
std::string IdInKey(std::string_view key, std::string_view folder) {
  return std::string(key.substr(folder.size(), 64));
}

// Reads a pointer or a record anew. Read by the model's own code, not
// by the collector's, which it judges.
void Look(World& world, const std::string& key) {
  Published& published = world.published;
  if (IsUnder(key, "images/")) {
    std::vector<std::string>& ids = published.ids_by_holder[key];
    ids.clear();
    const auto pointer = LoadPointer(world.store, *NameOfPointerKey(key));
    if (!pointer.ok()) return world.Violate(pointer.error().message);
    for (const auto& [label, slot] : pointer->value.placements)
      if (!slot.current.empty()) ids.push_back(slot.current);
  } else if (IsUnder(key, "manifests/")) {
    const std::string id = IdInKey(key, "manifests/");
    const auto record = LoadRecord(world.store, id);
    if (!record.ok()) return world.Violate(record.error().message);
    published.root_by_id[id] = record->value.root;
  }
}

void LookAtAll(World& world) {
  world.published = {.is_loaded = true};
  for (const char* folder : {"images/", "manifests/"}) {
    const Status listed = ForEachKey(world.store, folder,
                                     [&](const ObjectPage::Row& row) -> Status {
                                       Look(world, row.key);
                                       return Ok();
                                     });
    if (!listed.ok()) world.Violate(listed.error().message);
  }
}

// All that is named or held, with who does.
std::map<std::string, std::string> Required(World& world) {
  std::map<std::string, std::string> required;
  for (const auto& [holder, ids] : world.published.ids_by_holder)
    for (const std::string& id : ids) required.emplace(id, holder);
  for (const auto& [key, id] : world.pinned) required.emplace(id, key);
  const int64_t oldest = world.now - world.gc.lease_period.count();
  for (const auto& [worker, device] : world.held)
    if (device.renewed_at >= oldest)
      required.emplace(device.manifest_id, "the device of " + worker);
  return required;
}

// The chunks of a manifest, whose bytes never change.
Result<std::vector<ChunkName>> ChunksOf(World& world, const std::string& root,
                                        const std::string& id) {
  std::vector<ChunkName>& names = world.published.chunks_by_id[id];
  if (!names.empty()) return names;
  ASSIGN_OR_RETURN(ObjectData data,
                   world.store.Get(ManifestKey(root, id), 0, kMiB));
  ASSIGN_OR_RETURN(const Manifest manifest,
                   Manifest::Parse(std::move(data.bytes)));
  for (size_t i = 0; i < manifest.chunk_count(); ++i)
    names.push_back(manifest.ChunkAt(i).name);
  return names;
}

std::string WhyUnreadable(World& world, const std::string& id) {
  const auto found = world.published.root_by_id.find(id);
  if (found == world.published.root_by_id.end()) return "it has no record";
  const std::string& root = found->second;
  if (root.empty()) return "its record was emptied";
  const auto there = world.store.Head(ManifestKey(root, id));
  if (!there.ok()) return there.error().message;
  const auto names = ChunksOf(world, root, id);
  if (!names.ok()) return names.error().message;
  for (const ChunkName& name : *names) {
    const auto chunk = world.store.Head(ChunkKey(root, name));
    if (!chunk.ok()) return chunk.error().message;
  }
  return "";
}

void LookForAlarms(World& world) {
  const auto alarms = ListAlarms(world.store, /*all=*/false);
  world.is_alarmed = !alarms.ok() || !alarms->empty();
  if (!world.is_alarmed) world.deleted_since_alarm = 0;
}

void CheckReadable(World& world, const StoreCall& call) {
  for (const auto& [id, holder] : Required(world)) {
    const std::string why = WhyUnreadable(world, id);
    if (!why.empty())
      world.Violate("after " + std::string(StoreOpName(call.op)) + " of " +
                    std::string(call.key) + ": the manifest " + id +
                    ", named by " + holder + ", is unreadable: " + why);
  }
}

}  // namespace

void CheckBefore(World& world, const StoreCall& call) {
  if (call.op != StoreOp::kDelete) return;
  const std::string root = RootOfKey(call.key);
  if (root.empty()) return;
  const auto state = LoadRootState(world.store, root);
  // A root that never became one: its maker takes the salt back.
  if (!state.ok() && state.error().code == Code::kNotFound) return;
  if (!state.ok() ||
      (state->state != kRootExpired && state->state != kRootDeleted))
    world.Violate("deleted in a root that is not expired: " +
                  std::string(call.key));
  if (world.is_alarmed &&
      ++world.deleted_since_alarm > kCollectors * world.gc.batch_size)
    world.Violate("deleted in spite of an alarm: " + std::string(call.key));
}

void CheckAfter(World& world, const StoreCall& call) {
  if (call.op == StoreOp::kGet || call.op == StoreOp::kHead ||
      call.op == StoreOp::kList)
    return;
  if (IsUnder(call.key, "alarms/")) return LookForAlarms(world);
  // What is added under roots/ makes nothing unreadable, nor do these.
  if (IsUnder(call.key, "roots/") && call.op != StoreOp::kDelete) return;
  for (const char* folder : {"scratch/", "leases/"})
    if (IsUnder(call.key, folder)) return;
  if (!world.published.is_loaded)
    LookAtAll(world);
  else
    Look(world, std::string(call.key));
  CheckReadable(world, call);
}

void CheckEnd(World& world) {
  LookAtAll(world);
  CheckReadable(world, {StoreOp::kList, "the end"});
  const auto roots = LoadRoots(world.store);
  if (!roots.ok()) return world.Violate(roots.error().message);
  std::set<std::string> gone;
  for (const Root& root : *roots) {
    if (root.Is(kRootActive)) continue;
    if (!root.Is(kRootDeleted))
      world.Violate("the root " + root.id + " is still " + root.state.state);
    gone.insert(root.id);
    const Status swept =
        ForEachKey(world.store, "roots/" + root.id + "/",
                   [&](const ObjectPage::Row& row) -> Status {
                     if (row.key != RootStateKey(root.id))
                       world.Violate("left in a deleted root: " + row.key);
                     return Ok();
                   });
    if (!swept.ok()) world.Violate(swept.error().message);
  }
  const Status records = ForEachKey(
      world.store, "manifests/", [&](const ObjectPage::Row& row) -> Status {
        const std::string id = row.key.substr(10, 64);
        const auto record = LoadRecord(world.store, id);
        if (record.ok() && gone.contains(record->value.root))
          world.Violate("a record still names a deleted root: " + row.key);
        return Ok();
      });
  if (!records.ok()) world.Violate(records.error().message);
}

}  // namespace morsel::sim
