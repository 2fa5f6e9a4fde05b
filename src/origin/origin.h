// SPDX-License-Identifier: Apache-2.0
// The origin: what lies under which key of the object store, and how images
// are published and found (docs/formats.md, "Origin").
//
//   roots/first.json                   the root that the first converter made
//   roots/<root>/state.json            roots/<root>/salts/<key id>.json
//   roots/<root>/chunks/<2 hex>/<name> roots/<root>/manifests/<id>
//   manifests/<id>.json   the record: root, wrapped data keys, sizes
//   images/<name>/<tag>.json   the pointer: OCI digest, manifest id
//
// Publishing order: chunks, manifest, record, pointer. A converter that dies
// leaves no visible image. Rule: the record alone says where a manifest lives.
// Records, pointers and states change by compare-and-swap only, and a pointer
// is announced (`next`), the root's state looked at, and then made good
// (`current`), so that no delay publishes into a root that is being collected.
//
// Thread safety: thread-safe if store and keys are; no state of its own.
// Errors of every method, beyond those stated: the store's; kCorrupt if an
// object of the origin is damaged, missing though another one names it, or of
// a newer format; kUnavailable if a compare-and-swap lost too often.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "crypto/secret.h"
#include "keys/key_service.h"
#include "manifest/manifest.h"
#include "origin/chunk_object.h"
#include "origin/image_name.h"
#include "origin/known_chunks.h"
#include "origin/popular.h"
#include "store/object_store.h"

namespace morsel {

// Which of the active roots a converter writes to.
struct RootChoice {
  std::string placement;  // label: the root must have the same
  std::string tenant;     // class of tenants: likewise
  // Of several, equal affinities get the same one (rendezvous hashing): the
  // diffID of the lowest layer, so that one base stays in one root.
  std::string affinity;
};

// A root that may be written to, with its salt unwrapped.
struct WritableRoot {
  std::string id;
  bool is_only_choice = true;  // whatever the affinity
  std::string salt_id;
  SecretKey salt;
};

// manifests/<id>.json
struct ManifestRecord {
  std::string id;
  std::string root;       // where the manifest and all its chunks are now
  std::string next_root;  // announced by a mover; empty if there is none
  std::map<std::string, WrappedKey> wrapped_keys;  // by context
  uint64_t virtual_size = 0;
  uint64_t stored_bytes = 0;
  uint64_t chunk_count = 0;
  // The startup profile: the indexes of the chunks that a start reads, in that
  // order; a hint. Empty: none was recorded.
  std::vector<uint32_t> startup_chunks;
  // What was stored as the profile is none, and was taken as empty.
  bool has_bad_profile = false;
};

// images/<name>/<tag>.json
struct ImagePointer {
  std::string image_digest;  // "sha256:...", of the OCI manifest
  std::string manifest_id;
  int64_t created_unix_seconds = 0;
};

struct ImageRow {
  ImageName name;
  ImagePointer pointer;
  ObjectInfo info;
  std::string damage;  // why the pointer cannot be read; "" if it can
};

struct RootRow {
  std::string id;
  std::string state;  // "active", "retired", ...
  int64_t created_unix_seconds = 0;
  std::vector<std::string> key_ids;  // who may convert into it
};

// What a reader needs to open a device.
struct ResolvedImage {
  ManifestRecord record;
  Manifest manifest;
  std::string image_digest;  // empty for name@id
};

class Origin {
 public:
  Origin(ObjectStore& store, Clock& clock) : store_(store), clock_(clock) {}

  // True if any root exists: then a missing key file is an error.
  Result<bool> HasRoots();
  // An active root with its salt; makes the origin's first one. kDenied if the
  // key was not admitted to it (`morsel roots admit`); kUnavailable if there is
  // no active root of that placement and tenant.
  Result<WritableRoot> OpenActiveRoot(KeyService& keys,
                                      const RootChoice& choice = {});
  // A further active root, whose salt is wrapped for `keys`: its id. To rotate,
  // or to part tenants and zones.
  Result<std::string> CreateRoot(KeyService& keys, Random& random,
                                 const std::string& placement,
                                 const std::string& tenant);
  // kNotFound.
  Result<bool> IsActive(const std::string& root);
  // Reads the root's state and every wrapping of its salt; with `keys` (may be
  // null) opens the salt too, if that key is admitted. kCorrupt: one of them is
  // damaged or gone, though images are there.
  Status CheckRoot(const std::string& root, KeyService* keys);
  Result<std::vector<RootRow>> ListRoots();
  // Wraps the salt of `root_id` for `admitted`. kDenied if `keys` cannot
  // unwrap it; kNotFound.
  Status AdmitKey(const std::string& root_id, KeyService& keys,
                  KeyService& admitted);

  // What is known of the root's chunks before `chunk_count` are stored.
  Result<KnownChunks> LoadKnownChunks(const std::string& root,
                                      size_t chunk_count) {
    return KnownChunks::Load(store_, root, chunk_count);
  }
  Result<PopularList> ReadPopular(const std::string& root) {
    return morsel::ReadPopular(store_, root);
  }
  // What the chunk's object has, as damage shows it first. kNotFound.
  Result<uint64_t> ChunkSize(const std::string& root, const ChunkName& name);
  // Ok also if it was there already; `*was_absent` says which.
  Status PutChunk(const std::string& root, const ChunkName& name,
                  ByteSpan ciphertext, bool* was_absent);
  // In the place of what is stored under the name: to mend it.
  Status RewriteChunk(const std::string& root, const ChunkName& name,
                      ByteSpan ciphertext);
  // Stores the manifest, then its record (merging `wrapped` into one that
  // exists). kExists never. `startup_chunks` is the profile of the image's last
  // version: a new record keeps what the manifest has of it.
  Status PublishManifest(const std::string& root, const Manifest& manifest,
                         const std::string& context, const WrappedKey& wrapped,
                         const std::vector<uint32_t>& startup_chunks = {});
  // Makes `name` show the manifest: the moment of publication. kUnavailable
  // if the manifest's root is no longer active: convert again. kInvalid if
  // `name` has a manifest id. A creation time of 0 is replaced by now.
  Status PublishPointer(const ImageName& name, const ImagePointer& pointer);
  // Makes `to` show what `from` shows, and wraps its key for `to`. kDenied as
  // UnwrapDataKey; kInvalid if `to` has a manifest id.
  Status TagImage(const ImageName& from, const ImageName& to, KeyService& keys);

  // kNotFound; kCorrupt (the manifest's bytes are not those of its id).
  Result<ResolvedImage> Resolve(const ImageName& name);
  Result<ManifestRecord> ReadRecord(const std::string& manifest_id);
  // kNotFound.
  Result<ImagePointer> ReadPointer(const ImageName& name);
  Result<Manifest> ReadManifest(const ManifestRecord& record);
  // A chunk of the manifest, checked against its name. kNotFound; kCorrupt.
  Result<Bytes> ReadChunk(const std::string& root, const ManifestChunk& chunk);
  // The data key of a resolved image. kDenied, kCorrupt as KeyService; with no
  // wrapping for the name, kDenied for name@id and kCorrupt for a tag, which
  // then shows an image that was never published under it.
  Result<SecretKey> UnwrapDataKey(const ManifestRecord& record,
                                  const ImageName& name, KeyService& keys);
  // Adds a wrapping for another context to a record.
  Status AddWrapping(const std::string& manifest_id, const std::string& context,
                     const WrappedKey& wrapped);

  // Keeps what a start reads (see ManifestRecord) with the manifest, in the
  // place of what was recorded before. kNotFound; kInvalid: too many.
  Status SetStartupChunks(const std::string& manifest_id,
                          const std::vector<uint32_t>& chunks);

  // All of them; a damaged pointer has a row that says so.
  Result<std::vector<ImageRow>> ListImages();
  // kNotFound. A damaged pointer is removed too. The pointer is emptied, never
  // deleted; space returns with the root.
  Status RemovePointer(const ImageName& name);

 private:
  Status MakePointer(const ImageName& name, ImagePointer pointer,
                     bool converting);

  ObjectStore& store_;
  Clock& clock_;
};

}  // namespace morsel
