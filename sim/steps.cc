// SPDX-License-Identifier: Apache-2.0
#include "steps.h"

#include <utility>

#include "crypto/hash.h"
#include "origin/alarm.h"
#include "origin/lease.h"
#include "origin/root_state.h"

namespace morsel::sim {
namespace {

constexpr int kConvertTries = 4;
constexpr const char* kImageDigest =
    "sha256:"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

Bytes BytesOf(uint64_t content) {
  Bytes bytes(kPageSize);
  StoreLe<uint64_t>(bytes.data(), content);
  return bytes;
}

Result<ManifestContents> StoreChunks(Host& host, const WritableRoot& root,
                                     std::span<const uint64_t> list) {
  ManifestContents contents;
  contents.virtual_size = 16 * kGiB;
  contents.root_of_birth = root.id;
  contents.salt_id = root.salt_id;
  contents.config = "{}";
  contents.keys = SecretBuffer(list.size() * kKeySize);
  for (const uint64_t content : list) {
    ManifestChunk chunk;
    chunk.index = static_cast<uint32_t>(contents.chunks.size());
    chunk.stored_length = kPageSize;
    chunk.name = ChunkOf(content);
    bool was_absent = false;
    RETURN_IF_ERROR(host.origin.PutChunk(root.id, chunk.name, BytesOf(content),
                                         &was_absent));
    contents.chunks.push_back(chunk);
  }
  return contents;
}

Status ConvertInto(Host& host, const ImageName& name, const WritableRoot& root,
                   std::span<const uint64_t> list) {
  ASSIGN_OR_RETURN(ManifestContents contents, StoreChunks(host, root, list));
  const SecretKey data_key = SecretKey::Generate(host.world.random);
  ASSIGN_OR_RETURN(const Manifest manifest,
                   Manifest::Parse(EncodeManifest(contents, data_key)));
  ASSIGN_OR_RETURN(const WrappedKey wrapped,
                   host.world.keys.Wrap(data_key, name.repository));
  RETURN_IF_ERROR(
      host.origin.PublishManifest(root.id, manifest, name.repository, wrapped));
  return host.origin.PublishPointer(
      name, {.image_digest = kImageDigest, .manifest_id = manifest.id()});
}

}  // namespace

ImageName NameOf(uint64_t number) {
  ImageName name;
  name.repository = "image" + std::to_string(number);
  name.tag = "latest";
  return name;
}

ChunkName ChunkOf(uint64_t content) {
  return ChunkName(Sha256Of(BytesOf(content)));
}

Status Convert(Host& host, const ImageName& name,
               std::span<const uint64_t> contents) {
  Status done;
  for (int i = 0; i < kConvertTries; ++i) {
    ASSIGN_OR_RETURN(
        const WritableRoot root,
        host.origin.OpenActiveRoot(
            host.world.keys, {.placement = {},
                              .tenant = {},
                              .affinity = std::to_string(host.world.rng())}));
    done = ConvertInto(host, name, root, contents);
    // As image/convert: another root if that one was retired meanwhile.
    if (done.ok() || done.error().code != Code::kUnavailable) return done;
    const Result<bool> active = host.origin.IsActive(root.id);
    if (!active.ok() || *active) return done;
  }
  return done;
}

bool RenewDevice(Host& host, const std::string& id, const std::string& worker) {
  const auto place =
      RenewLease(host.store, host.clock, id, worker, "device of " + worker);
  if (!place.ok()) return false;
  ObjectStore& truth = host.world.store;
  const auto root = LoadRoot(truth, place->record.root);
  const auto lease = truth.Head(LeaseKey(id, worker));
  if (!root.ok() || !lease.ok()) return false;
  if (!root->Is(kRootActive) && !root->Is(kRootRetired)) return false;
  host.world.held[worker] = {id, lease->modified_unix_seconds};
  return true;
}

void DetachDevice(Host& host, const std::string& id,
                  const std::string& worker) {
  host.world.held.erase(worker);
  static_cast<void>(EndLease(host.store, id, worker));
}

Status Pin(Host& host, const std::string& id, const std::string& who) {
  RETURN_IF_ERROR(PinManifest(host.store, id, who));
  host.world.pinned[PinKey(id, who)] = id;
  return Ok();
}

Status Unpin(Host& host, const std::string& id, const std::string& who) {
  host.world.pinned.erase(PinKey(id, who));
  return UnpinManifest(host.store, id, who);
}

Status AddWrapping(Host& host, const std::string& id, uint64_t context) {
  const std::string text = "context" + std::to_string(context);
  ASSIGN_OR_RETURN(
      const WrappedKey wrapped,
      host.world.keys.Wrap(SecretKey::Generate(host.world.random), text));
  return host.origin.AddWrapping(id, text, wrapped);
}

Result<std::string> MakeRoot(Host& host) {
  return host.origin.CreateRoot(host.world.keys, host.world.random, "", "");
}

Status Acknowledge(Host& host) {
  ASSIGN_OR_RETURN(const auto alarms, ListAlarms(host.store, /*all=*/false));
  for (const ShownAlarm& alarm : alarms)
    RETURN_IF_ERROR(AcknowledgeAlarm(host.store, alarm));
  return Ok();
}

}  // namespace morsel::sim
