// SPDX-License-Identifier: Apache-2.0
#include "acts.h"

#include "origin/alarm.h"
#include "origin/chunk_object.h"
#include "origin/lease.h"
#include "origin/record_store.h"
#include "origin/root_state.h"

namespace morsel::sim {
namespace {

// Two until the root has expired, five for three lease periods, one to delete,
// and one more where an alarm has stopped it.
constexpr int kPassesToTheEnd = 9;
constexpr const char* kWorker = "w0";
constexpr const char* kPinHolder = "registry";

std::string FirstRoot(World& world) {
  const auto roots = LoadRoots(world.store);
  std::string first;
  int64_t oldest = INT64_MAX;
  for (const Root& root : *roots)
    if (root.state.history.front().at_unix_seconds < oldest) {
      oldest = root.state.history.front().at_unix_seconds;
      first = root.id;
    }
  return first;
}

std::string IdOf(Host& host, uint64_t name) {
  const auto pointer = host.origin.ReadPointer(NameOf(name));
  return pointer.ok() ? pointer->manifest_id : "";
}

void MustDo(World& world, const Status& done) {
  if (!done.ok()) world.Violate("preparing: " + done.error().message);
}

void Publish(Host& host, uint64_t name, std::vector<uint64_t> contents) {
  MustDo(host.world, Convert(host, NameOf(name), contents));
}

// image0 and image1 share a chunk; a device holds what image2 showed before; a
// pin what image3 showed; image4 has left nothing but garbage.
Shown PublishAll(Host& host) {
  Publish(host, 0, {1, 2, 3});
  Publish(host, 1, {2, 4});
  Publish(host, 2, {5});
  const std::string device = IdOf(host, 2);
  if (!RenewDevice(host, device, kWorker)) host.world.Violate("no device");
  Publish(host, 2, {6, 1});
  Publish(host, 3, {7});
  MustDo(host.world, Pin(host, IdOf(host, 3), kPinHolder));
  MustDo(host.world, host.origin.RemovePointer(NameOf(3)));
  Publish(host, 4, {8, 9});
  MustDo(host.world, host.origin.RemovePointer(NameOf(4)));
  return {{0, {1, 2, 3}}, {1, {2, 4}}, {2, {6, 1}}, {3, {}}, {4, {}}};
}

Status RetireOthers(Host& host, const std::string& fresh) {
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(host.store));
  for (const Root& root : roots)
    if (root.Is(kRootActive) && root.id != fresh)
      RETURN_IF_ERROR(RetireRoot(host.store, host.clock, root.id));
  return Ok();
}

Status Rotate(Host& host) {
  ASSIGN_OR_RETURN(const std::string fresh, MakeRoot(host));
  return RetireOthers(host, fresh);
}

Status Collect(Host& host) {
  ASSIGN_OR_RETURN(const GcReport report,
                   CollectGarbage(host.store, host.clock, host.world.gc));
  return report.first_error;
}

// What nobody would do: image0 is in the first root, and that expires.
Status Strand(Host& host) {
  ASSIGN_OR_RETURN(const Root root,
                   LoadRoot(host.store, FirstRoot(host.world)));
  return AdvanceRoot(host.store, host.clock, root);
}

Status AddLatecomer(Host& host) {
  Bytes bytes(kPageSize, std::byte{99});
  bool was_absent = false;
  return host.origin.PutChunk(FirstRoot(host.world), ChunkName(Sha256Of(bytes)),
                              bytes, &was_absent);
}

void RenewPrepared(Host& host) {
  const auto held = host.world.held.find(kWorker);
  if (held == host.world.held.end()) return;
  const std::string id = held->second.manifest_id;
  static_cast<void>(RenewDevice(host, id, kWorker));
}

Act ConvertAct(const std::string& name, std::vector<Stage> stages,
               uint64_t number, const std::vector<uint64_t>& contents) {
  return {name,
          std::move(stages),
          [=](Host& host) { return Convert(host, NameOf(number), contents); },
          {{number, contents}},
          /*must_succeed=*/true};
}

Status TagAct(Host& host) {
  return host.origin.TagImage(NameOf(0), NameOf(6), host.world.keys);
}

// The id of what image4 showed, which nothing names. Asked of the store itself.
std::string GarbageId(World& world) {
  const auto page = world.store.List("manifests/", "", 1000);
  for (const ObjectPage::Row& row : page->rows) {
    const std::string id = row.key.substr(10, 64);
    const auto record = LoadRecord(world.store, id);
    if (!record.ok() || record->value.root.empty()) continue;
    auto data = world.store.Get(ManifestKey(record->value.root, id), 0, kMiB);
    if (!data.ok()) continue;
    const auto manifest = Manifest::Parse(std::move(data->bytes));
    if (manifest.ok() && manifest->ChunkAt(0).name == ChunkOf(8)) return id;
  }
  return "";
}

// By its id, as nobody else holds it: the only announcement of a manifest.
Status TagGarbage(Host& host) {
  ImageName from = NameOf(4);
  from.tag.clear();
  from.manifest_id = GarbageId(host.world);
  if (from.manifest_id.empty())
    return MakeError(Code::kNotFound, "it was collected");
  return host.origin.TagImage(from, NameOf(7), host.world.keys);
}

Status RemoveAct(Host& host) {
  const Status done = host.origin.RemovePointer(NameOf(1));
  return !done.ok() && done.error().code == Code::kNotFound ? Ok() : done;
}

Status AttachAct(Host& host) {
  const std::string id = IdOf(host, 0);
  if (id.empty() || !RenewDevice(host, id, "w1"))
    return MakeError(Code::kUnavailable, "not attached");
  return Ok();
}

Status DetachAct(Host& host) {
  const auto held = host.world.held.find(kWorker);
  if (held == host.world.held.end()) return Ok();
  const std::string id = held->second.manifest_id;
  DetachDevice(host, id, kWorker);
  return Ok();
}

Status PinAct(Host& host) {
  const std::string id = IdOf(host, 0);
  RETURN_IF_ERROR(Pin(host, id, "operator"));
  return Unpin(host, id, "operator");
}

std::vector<Act> MakeActs() {
  const std::vector<Stage> all = {Stage::kPublished, Stage::kRetired,
                                  Stage::kMigrated,  Stage::kExpired,
                                  Stage::kDue,       Stage::kDeleted};
  const std::vector<Stage> few = {Stage::kPublished, Stage::kRetired,
                                  Stage::kStranded};
  return {
      ConvertAct("the first convert", {Stage::kNothing}, 5, {1, 10}),
      ConvertAct("convert", all, 5, {1, 10}),
      ConvertAct("convert anew", few, 0, {11, 2}),
      {"tag", few, TagAct, {{6, {1, 2, 3}}}},
      {"tag of garbage",
       {Stage::kPublished, Stage::kRetired},
       TagGarbage,
       {{7, {8, 9}}}},
      {"rm", few, RemoveAct, {{1, {}}}},
      {"attach", few, AttachAct, {}},
      {"detach", few, DetachAct, {}},
      {"pin and unpin", {Stage::kPublished, Stage::kRetired}, PinAct, {}},
      {"keys rotate",
       few,
       [](Host& host) { return AddWrapping(host, IdOf(host, 0), 1); },
       {}},
      {"roots new, roots retire", few, Rotate, {}},
      {"gc run",
       {Stage::kRetired, Stage::kMigrated, Stage::kStranded, Stage::kExpired,
        Stage::kDue, Stage::kDeleted},
       Collect,
       {}},
      {"gc resume", {Stage::kStranded}, Acknowledge, {}},
  };
}

}  // namespace

const std::vector<Act>& Acts() {
  static const std::vector<Act> acts = MakeActs();
  return acts;
}

void LetTimePass(Host& host) {
  World& world = host.world;
  world.now += world.gc.min_retired.count() + 1;
  RenewPrepared(host);
  static_cast<void>(Collect(host));
}

void RotateToTheEnd(Host& host) {
  // What dead workers have left must not be moved any more.
  host.world.now += host.world.gc.lease_period.count() + 1;
  RenewPrepared(host);
  static_cast<void>(Rotate(host));
  for (int i = 0; i < kPassesToTheEnd; ++i) {
    LetTimePass(host);
    static_cast<void>(Acknowledge(host));
  }
}

Shown Prepare(World& world, Stage stage) {
  Host host(world, world.store, world.store_clock);
  if (stage == Stage::kNothing) return {};
  const Shown shown = PublishAll(host);
  world.now += 1;
  if (stage == Stage::kPublished) return shown;
  MustDo(world, Rotate(host));
  if (stage == Stage::kRetired) return shown;
  if (stage == Stage::kStranded) {
    MustDo(world, Strand(host));
    world.now += 1;
    return shown;
  }
  MustDo(world, Collect(host));
  for (const Stage next : {Stage::kMigrated, Stage::kExpired}) {
    world.now += world.gc.min_retired.count() + 1;
    RenewPrepared(host);
    if (stage == next) return shown;
    MustDo(world, Collect(host));
  }
  world.now += 3 * world.gc.lease_period.count() + 1;
  RenewPrepared(host);
  if (stage == Stage::kDue) return shown;
  MustDo(world, Collect(host));
  MustDo(world, AddLatecomer(host));
  return shown;
}

}  // namespace morsel::sim
