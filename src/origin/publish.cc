// SPDX-License-Identifier: Apache-2.0
// Publishing: chunks, manifest, record, and the pointer last.
#include "base/log.h"
#include "origin/document.h"
#include "origin/origin.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

constexpr const char* kNoPlacement = "";

Status SetWrapping(ManifestRecord& record, const std::string& context,
                   const WrappedKey& wrapped) {
  record.wrapped_keys[context] = wrapped;
  // What would not be read again is not written.
  RETURN_IF_ERROR_AS(DecodeRecord(EncodeRecord(record)),
                     "a wrapping for " + context);
  return Ok();
}

// Makes the record, or adds the wrapping to the one that is there. One try.
Status MergeRecord(ObjectStore& store, const ManifestRecord& fresh,
                   const std::string& context, const WrappedKey& wrapped) {
  const Result<Versioned<ManifestRecord>> old = LoadRecord(store, fresh.id);
  if (!old.ok() && old.error().code != Code::kNotFound) return old.error();
  ManifestRecord record = old.ok() ? old->value : fresh;
  if (record.root.empty()) record.root = fresh.root;  // it was emptied
  RETURN_IF_ERROR(SetWrapping(record, context, wrapped));
  const std::string key = RecordKey(fresh.id);
  return old.ok()
             ? ReplaceDocument(store, key, EncodeRecord(record), old->version)
             : CreateDocument(store, key, EncodeRecord(record));
}

// What stands under a name that shows something, to be replaced by an empty
// pointer: its time of creation (`now` if it is damaged) and version.
// kNotFound.
Result<Versioned<int64_t>> FindToRemove(ObjectStore& store,
                                        const ImageName& name, int64_t now) {
  const Result<Versioned<PointerState>> old = LoadPointer(store, name);
  if (!old.ok() && old.error().code == Code::kCorrupt) {
    LogWarn("a damaged pointer is removed", {{"why", old.error().message}});
    ASSIGN_OR_RETURN(ObjectInfo info, store.Head(PointerKey(name)));
    return Versioned<int64_t>{now, std::move(info.version)};
  }
  if (!old.ok() && old.error().code == Code::kNotFound) return NoImage(name);
  if (!old.ok()) return old.error();
  const auto slot = old->value.placements.find(kNoPlacement);
  if (slot == old->value.placements.end() || slot->second.current.empty())
    return NoImage(name);
  return Versioned<int64_t>{old->value.created_unix_seconds, old->version};
}

// Writes `id` as the next of `name`; `announced` is what then stands there.
// kExists if another one was faster.
Status Announce(ObjectStore& store, const ImageName& name,
                const std::string& id, int64_t now,
                Versioned<PointerState>& announced) {
  const Result<Versioned<PointerState>> old = LoadPointer(store, name);
  // It may be of a newer Morsel: only a person who names it has it replaced.
  if (!old.ok() && old.error().code != Code::kNotFound) return old.error();
  PointerState pointer;
  if (old.ok())
    pointer = old->value;
  else
    pointer.created_unix_seconds = now;
  pointer.placements[kNoPlacement].next = id;
  const std::string key = PointerKey(name);
  RETURN_IF_ERROR(
      old.ok()
          ? ReplaceDocument(store, key, EncodePointer(pointer), old->version)
          : CreateDocument(store, key, EncodePointer(pointer)));
  ASSIGN_OR_RETURN(announced, LoadPointer(store, name));
  if (announced.value.placements[kNoPlacement].next != id)
    return MakeError(Code::kExists, key + " was announced anew");
  return Ok();
}

// Whether a new reference to a manifest of a root in `state` is allowed: a
// converter writes into active roots only; who names a manifest that is there
// may do so until its root expires.
bool MayRefer(const RootState& state, bool converting) {
  return state.state == kRootActive ||
         (!converting && state.state == kRootRetired);
}

// The state of the root where the manifest is now. Emptied records say deleted:
// their root is, or soon will be.
Result<RootState> LoadStateOfHome(ObjectStore& store, const std::string& id) {
  ASSIGN_OR_RETURN(const Versioned<ManifestRecord> record,
                   LoadRecord(store, id));
  if (!record.value.root.empty())
    return LoadRootState(store, record.value.root);
  RootState deleted;
  deleted.state = kRootDeleted;
  return deleted;
}

}  // namespace

Result<uint64_t> Origin::ChunkSize(const std::string& root,
                                   const ChunkName& name) {
  const Result<ObjectInfo> info = store_.Head(ChunkKey(root, name));
  if (!info.ok()) return info.error();
  return info->size_bytes;
}

Status Origin::PutChunk(const std::string& root, const ChunkName& name,
                        ByteSpan ciphertext, bool* was_absent) {
  const Status put = store_.PutIfAbsent(ChunkKey(root, name), ciphertext);
  *was_absent = put.ok();
  // Another converter was faster: the name is that of the bytes.
  if (put.ok() || put.error().code == Code::kExists) return Ok();
  return Error(put.error()).Wrap("store a chunk in the origin");
}

Status Origin::RewriteChunk(const std::string& root, const ChunkName& name,
                            ByteSpan ciphertext) {
  RETURN_IF_ERROR_AS(store_.Put(ChunkKey(root, name), ciphertext),
                     "store a chunk in the origin");
  return Ok();
}

Status Origin::PublishManifest(const std::string& root,
                               const Manifest& manifest,
                               const std::string& context,
                               const WrappedKey& wrapped,
                               const std::vector<uint32_t>& startup_chunks) {
  if (!IsRootId(root))
    return MakeError(Code::kInvalid, root + " is no root id");
  const Status put =
      store_.PutIfAbsent(ManifestKey(root, manifest.id()), manifest.bytes());
  // There already: it is named by its bytes.
  if (!put.ok() && put.error().code != Code::kExists)
    return Error(put.error()).Wrap("store the manifest");
  ManifestRecord fresh;
  fresh.id = manifest.id();
  fresh.root = root;
  fresh.virtual_size = manifest.virtual_size();
  fresh.stored_bytes = manifest.stored_bytes();
  fresh.chunk_count = manifest.chunk_count();
  for (const uint32_t index : startup_chunks)
    if (manifest.FindChunk(index)) fresh.startup_chunks.push_back(index);
  return RetryWhileChanged("the record of the manifest " + fresh.id, [&] {
    return MergeRecord(store_, fresh, context, wrapped);
  });
}

Status Origin::MakePointer(const ImageName& name, ImagePointer pointer,
                           bool converting) {
  if (!name.manifest_id.empty())
    return MakeError(Code::kInvalid, name.ToString() +
                                         " names a manifest: a pointer needs "
                                         "NAME[:TAG] alone");
  if (pointer.created_unix_seconds == 0)
    pointer.created_unix_seconds = clock_.UnixSeconds();
  return RetryWhileChanged("the pointer " + name.ToString(), [&]() -> Status {
    Versioned<PointerState> announced;
    RETURN_IF_ERROR(Announce(store_, name, pointer.manifest_id,
                             pointer.created_unix_seconds, announced));
    PointerState& state = announced.value;
    PointerState::Slot& slot = state.placements[kNoPlacement];
    slot.next.clear();
    Result<RootState> root = LoadStateOfHome(store_, pointer.manifest_id);
    const bool allowed = root.ok() && MayRefer(*root, converting);
    if (allowed) {
      slot.current = pointer.manifest_id;
      state.image_digest = pointer.image_digest;
      state.created_unix_seconds = pointer.created_unix_seconds;
    }
    // Made good, or the announcement taken back; others have not seen either.
    RETURN_IF_ERROR(ReplaceDocument(store_, PointerKey(name),
                                    EncodePointer(state), announced.version));
    if (!root.ok()) return std::move(root).error();
    if (!allowed)
      return MakeError(Code::kUnavailable,
                       "the root of the manifest is " + root->state +
                           " meanwhile: convert the image again");
    return Ok();
  });
}

Status Origin::PublishPointer(const ImageName& name,
                              const ImagePointer& pointer) {
  return MakePointer(name, pointer, /*converting=*/true);
}

Status Origin::AddWrapping(const std::string& manifest_id,
                           const std::string& context,
                           const WrappedKey& wrapped) {
  return RetryWhileChanged(
      "the record of the manifest " + manifest_id, [&]() -> Status {
        ASSIGN_OR_RETURN(Versioned<ManifestRecord> record,
                         LoadRecord(store_, manifest_id));
        RETURN_IF_ERROR(SetWrapping(record.value, context, wrapped));
        return ReplaceDocument(store_, RecordKey(manifest_id),
                               EncodeRecord(record.value), record.version);
      });
}

Status Origin::SetStartupChunks(const std::string& manifest_id,
                                const std::vector<uint32_t>& chunks) {
  if (chunks.size() > kMaxStartupChunks)
    return MakeError(Code::kInvalid, "a startup profile of more than " +
                                         std::to_string(kMaxStartupChunks) +
                                         " chunks");
  return RetryWhileChanged(
      "the record of the manifest " + manifest_id, [&]() -> Status {
        ASSIGN_OR_RETURN(Versioned<ManifestRecord> record,
                         LoadRecord(store_, manifest_id));
        record.value.startup_chunks = chunks;
        return ReplaceDocument(store_, RecordKey(manifest_id),
                               EncodeRecord(record.value), record.version);
      });
}

Status Origin::TagImage(const ImageName& from, const ImageName& to,
                        KeyService& keys) {
  ASSIGN_OR_RETURN(const ResolvedImage image, Resolve(from));
  ASSIGN_OR_RETURN(const SecretKey data_key,
                   UnwrapDataKey(image.record, from, keys));
  if (to.repository != from.repository) {
    ASSIGN_OR_RETURN(const WrappedKey wrapped,
                     keys.Wrap(data_key, to.repository));
    RETURN_IF_ERROR(AddWrapping(image.record.id, to.repository, wrapped));
  }
  return MakePointer(
      to, {.image_digest = image.image_digest, .manifest_id = image.record.id},
      /*converting=*/false);
}

Status Origin::RemovePointer(const ImageName& name) {
  const std::string what = "the pointer " + name.ToString();
  return RetryWhileChanged(what, [&]() -> Status {
    ASSIGN_OR_RETURN(const Versioned<int64_t> old,
                     FindToRemove(store_, name, clock_.UnixSeconds()));
    PointerState emptied;
    emptied.created_unix_seconds = old.value;
    return ReplaceDocument(store_, PointerKey(name), EncodePointer(emptied),
                           old.version);
  });
}

}  // namespace morsel
