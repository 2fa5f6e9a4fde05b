// SPDX-License-Identifier: Apache-2.0
#include "invariants.h"

#include <set>

#include "gc/each_key.h"
#include "gc/references.h"
#include "manifest/manifest.h"
#include "origin/chunk_object.h"
#include "origin/lease.h"
#include "origin/record_store.h"
#include "origin/root_state.h"

namespace morsel::sim {
namespace {

// The root in "roots/<root>/..."; empty for other keys.
std::string RootOfKey(std::string_view key) {
  constexpr std::string_view kPrefix = "roots/";
  if (!key.starts_with(kPrefix)) return "";
  const std::string root(key.substr(kPrefix.size(), 13));
  return IsRootId(root) ? root : "";
}

// All that is named or held, with who does.
std::map<std::string, std::string> Required(World& world) {
  std::map<std::string, std::string> required;
  // No lease at all counts here: which are held in time, the model knows.
  const auto listed =
      ListReferences(world.store, world.now, std::chrono::seconds(-1));
  if (!listed.ok()) {
    world.Violate("references cannot be listed: " + listed.error().message);
    return required;
  }
  for (const auto& [id, reference] : *listed)
    if (reference.firm) required.emplace(id, reference.holder);
  const int64_t oldest = world.now - world.gc.lease_period.count();
  for (const auto& [worker, device] : world.held)
    if (device.renewed_at >= oldest)
      required.emplace(device.manifest_id, "the device of " + worker);
  return required;
}

std::string WhyUnreadable(World& world, const std::string& id) {
  const auto record = LoadRecord(world.store, id);
  if (!record.ok()) return record.error().message;
  const std::string& root = record->value.root;
  if (root.empty()) return "its record was emptied";
  const auto data = world.store.Get(ManifestKey(root, id), 0, kMiB);
  if (!data.ok()) return data.error().message;
  const auto manifest = Manifest::Parse(CopyBytes(data->bytes));
  if (!manifest.ok()) return manifest.error().message;
  for (size_t i = 0; i < manifest->chunk_count(); ++i) {
    const auto there =
        world.store.Head(ChunkKey(root, manifest->ChunkAt(i).name));
    if (!there.ok()) return there.error().message;
  }
  return "";
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
}

void CheckAfter(World& world, const StoreCall& call) {
  if (call.op == StoreOp::kGet || call.op == StoreOp::kHead ||
      call.op == StoreOp::kList)
    return;
  // What is added under roots/ makes nothing unreadable.
  if (call.key.starts_with("roots/") && call.op != StoreOp::kDelete) return;
  CheckReadable(world, call);
}

void CheckEnd(World& world) {
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
