// SPDX-License-Identifier: Apache-2.0
// Resolving: from a name to a manifest whose bytes are those of its id.
#include "base/log.h"
#include "origin/next_step.h"
#include "origin/origin.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

// A manifest of 256 GiB with every chunk stored has under 40 MiB.
constexpr uint64_t kMaxManifestBytes = 64 * kMiB;
constexpr size_t kListPage = 1000;

// One object names the other, so its absence is a loss and no ordinary miss.
Error Lost(const std::string& key, const std::string& named_by) {
  return MakeError(Code::kCorrupt,
                   "the origin has lost " + key + ", which " + named_by +
                       " names: restore it from a copy, or convert again");
}

ImagePointer ToImagePointer(const PointerState& state) {
  ImagePointer pointer;
  pointer.image_digest = state.image_digest;
  pointer.created_unix_seconds = state.created_unix_seconds;
  if (const auto slot = state.placements.find("");
      slot != state.placements.end())
    pointer.manifest_id = slot->second.current;
  return pointer;
}

}  // namespace

Result<ManifestRecord> Origin::ReadRecord(const std::string& manifest_id) {
  ASSIGN_OR_RETURN(Versioned<ManifestRecord> record,
                   LoadRecord(store_, manifest_id));
  if (record.value.root.empty())
    return MakeError(Code::kNotFound,
                     "the manifest " + manifest_id + " was collected");
  return std::move(record.value);
}

Result<ImagePointer> Origin::ReadPointer(const ImageName& name) {
  const Result<Versioned<PointerState>> state = LoadPointer(store_, name);
  if (!state.ok() && state.error().code == Code::kNotFound)
    return NoImage(name);
  if (!state.ok()) return state.error();
  ImagePointer pointer = ToImagePointer(state->value);
  if (pointer.manifest_id.empty()) return NoImage(name);
  return pointer;
}

Result<Manifest> Origin::ReadManifest(const ManifestRecord& record) {
  const std::string key = ManifestKey(record.root, record.id);
  ASSIGN_OR_RETURN(ObjectData data, store_.Get(key, 0, kMaxManifestBytes));
  const auto damaged = [&](const std::string& why) {
    return WithNextStep(MakeError(Code::kCorrupt, "the origin's " + key +
                                                      " is damaged: " + why),
                        key);
  };
  if (data.info.size_bytes != data.bytes.size())
    return damaged("it is larger than 64 MiB");
  Result<Manifest> manifest = Manifest::Parse(std::move(data.bytes));
  if (!manifest.ok()) return damaged(manifest.error().message);
  if (manifest->id() != record.id)
    return damaged("its SHA-256 is not its name");
  return manifest;
}

Result<ResolvedImage> Origin::Resolve(const ImageName& name) {
  std::string id = name.manifest_id;
  std::string digest;
  if (id.empty()) {
    ASSIGN_OR_RETURN(ImagePointer pointer, ReadPointer(name));
    id = std::move(pointer.manifest_id);
    digest = std::move(pointer.image_digest);
  }
  Result<ManifestRecord> record = ReadRecord(id);
  if (!record.ok() && record.error().code == Code::kNotFound)
    return name.manifest_id.empty() ? Lost(RecordKey(id), PointerKey(name))
                                    : NoImage(name);
  if (!record.ok()) return std::move(record).error();
  Result<Manifest> manifest = ReadManifest(*record);
  if (!manifest.ok() && manifest.error().code == Code::kNotFound) {
    // It may have moved to another root since the record was read.
    record = ReadRecord(id);
    if (!record.ok()) return std::move(record).error();
    manifest = ReadManifest(*record);
    if (!manifest.ok() && manifest.error().code == Code::kNotFound)
      return Lost(ManifestKey(record->root, id), RecordKey(id));
  }
  if (!manifest.ok()) return std::move(manifest).error();
  if (record->has_bad_profile)
    LogWarn(
        "an image's startup profile is damaged and not used: 'morsel record' "
        "it again, or --forget it",
        {{"record", RecordKey(id)}});
  return ResolvedImage{std::move(record).value(), std::move(manifest).value(),
                       std::move(digest)};
}

Result<Bytes> Origin::ReadChunk(const std::string& root,
                                const ManifestChunk& chunk) {
  return ReadChunkObject(store_, {chunk.name, root, chunk.stored_length});
}

Result<SecretKey> Origin::UnwrapDataKey(const ManifestRecord& record,
                                        const ImageName& name,
                                        KeyService& keys) {
  const auto wrapped = record.wrapped_keys.find(name.repository);
  if (wrapped != record.wrapped_keys.end()) {
    Result<SecretKey> key = keys.Unwrap(wrapped->second, name.repository);
    if (!key.ok())
      return WithNextStep(std::move(key).error(), RecordKey(record.id))
          .Wrap("the data key of " + name.ToString());
    return key;
  }
  if (name.manifest_id.empty())
    return MakeError(Code::kCorrupt,
                     name.ToString() + " shows the manifest " + record.id +
                         ", which was never published under that name: "
                         "someone put it in the place of the image; 'morsel "
                         "rm' it, then convert or tag the image again");
  return MakeError(Code::kDenied,
                   "the manifest " + record.id +
                       " was not published under the name " + name.repository +
                       ": ask for it by the name that it has, or `morsel tag` "
                       "it");
}

Result<std::vector<ImageRow>> Origin::ListImages() {
  std::vector<ImageRow> rows;
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store_.List("images/", after, kListPage));
    for (const ObjectPage::Row& row : page.rows) {
      const Result<ImageName> name = NameOfPointerKey(row.key);
      if (!name.ok()) {
        LogWarn("not a pointer", {{"key", row.key}});
        continue;
      }
      Result<ImagePointer> pointer = ReadPointer(*name);
      if (pointer.ok())
        rows.push_back({*name, std::move(pointer).value(), row.info, ""});
      else if (pointer.error().code == Code::kCorrupt)
        rows.push_back({*name, {}, row.info, pointer.error().message});
      else if (pointer.error().code != Code::kNotFound)
        return std::move(pointer).error();
    }
    if (!page.more) return rows;
    after = page.rows.back().key;
  }
}

}  // namespace morsel
