// SPDX-License-Identifier: Apache-2.0
#include "gc/move.h"

#include <atomic>
#include <optional>
#include <utility>

#include "base/parallel.h"
#include "crypto/hash.h"
#include "gc/each_key.h"
#include "manifest/manifest.h"
#include "origin/chunk_object.h"
#include "origin/document.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxManifestBytes = 64 * kMiB;

using Record = Versioned<ManifestRecord>;

// Of the active roots like `source`, the one that the manifest's id prefers
// (rendezvous hashing): two movers choose alike.
std::optional<std::string> ChooseTarget(const std::vector<Root>& roots,
                                        const Root& source,
                                        const std::string& id) {
  std::optional<std::string> best;
  Digest best_weight{};
  for (const Root& root : roots) {
    if (!root.Is(kRootActive) || !root.IsLike(source) || root.id == source.id)
      continue;
    const Digest weight = Sha256Of(AsBytes(root.id + "/" + id));
    if (best && weight <= best_weight) continue;
    best = root.id;
    best_weight = weight;
  }
  return best;
}

// Writes where the manifest will go, unless that stands there already. Nothing
// if the manifest is not in `source`. kExists: the record was changed.
Result<std::optional<Record>> Announce(ObjectStore& store,
                                       const std::string& id,
                                       const Root& source) {
  ASSIGN_OR_RETURN(Record record, LoadRecord(store, id));
  if (record.value.root != source.id) return std::optional<Record>();
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store));
  const std::optional<std::string> target = ChooseTarget(roots, source, id);
  if (!target)
    return MakeError(Code::kInvalid,
                     "there is no active root to which the manifests of " +
                         source.id +
                         " could move: make one by `morsel roots new`");
  if (record.value.next_root == *target) return std::optional(record);
  record.value.next_root = *target;
  RETURN_IF_ERROR(ReplaceDocument(store, RecordKey(id),
                                  EncodeRecord(record.value), record.version));
  ASSIGN_OR_RETURN(Record announced, LoadRecord(store, id));
  if (announced.value.root != source.id || announced.value.next_root != *target)
    return MakeError(Code::kExists, "announced anew");
  return std::optional(std::move(announced));
}

Result<Manifest> LoadManifest(ObjectStore& store, const std::string& root,
                              const std::string& id) {
  const std::string key = ManifestKey(root, id);
  ASSIGN_OR_RETURN(ObjectData data, store.Get(key, 0, kMaxManifestBytes));
  ASSIGN_OR_RETURN_AS(Manifest manifest, Manifest::Parse(std::move(data.bytes)),
                      "the origin's " + key + " is damaged");
  if (manifest.id() != id)
    return MakeError(Code::kCorrupt, "the origin's " + key +
                                         " is damaged: its SHA-256 is not its "
                                         "name");
  return manifest;
}

// True if it was not there.
Result<bool> CopyOnce(ObjectStore& store, const std::string& source,
                      const std::string& target) {
  const Result<ObjectInfo> there = store.Head(target);
  if (there.ok()) return false;
  if (there.error().code != Code::kNotFound) return there.error();
  RETURN_IF_ERROR(store.Copy(source, target));
  return true;
}

// Counts of one move, added to by several threads.
struct Copied {
  std::atomic<uint64_t> chunks{0};
  std::atomic<uint64_t> bytes{0};
};

Status CopyChunk(ObjectStore& store, const std::string& source,
                 const std::string& target, const ManifestChunk& chunk,
                 Copied& copied) {
  ASSIGN_OR_RETURN(const bool was_absent,
                   CopyOnce(store, ChunkKey(source, chunk.name),
                            ChunkKey(target, chunk.name)));
  if (was_absent) {
    ++copied.chunks;
    copied.bytes += chunk.stored_length;
  }
  return Ok();
}

Status CopyChunks(ObjectStore& store, const std::string& source,
                  const std::string& target, const Manifest& manifest,
                  size_t thread_count, Copied& copied) {
  if (thread_count <= 1) {
    for (size_t i = 0; i < manifest.chunk_count(); ++i)
      RETURN_IF_ERROR(
          CopyChunk(store, source, target, manifest.ChunkAt(i), copied));
    return Ok();
  }
  JobPool pool(thread_count, thread_count);
  for (size_t i = 0; i < manifest.chunk_count(); ++i) {
    const Status submitted = pool.Submit([&, chunk = manifest.ChunkAt(i)] {
      return CopyChunk(store, source, target, chunk, copied);
    });
    if (!submitted.ok()) break;
  }
  return pool.Finish();
}

Status CopyAll(ObjectStore& store, const std::string& id,
               const std::string& source, const std::string& target,
               const MoveOptions& options, Copied& copied) {
  ASSIGN_OR_RETURN(const Manifest manifest, LoadManifest(store, source, id));
  RETURN_IF_ERROR(CopyChunks(store, source, target, manifest,
                             options.thread_count, copied));
  const Result<bool> done =
      CopyOnce(store, ManifestKey(source, id), ManifestKey(target, id));
  return done.ok() ? Ok() : Status(done.error());
}

// Something that the record promises is not there, unless another mover was
// faster and the root that it left is being deleted.
Result<MoveReport> ExplainLoss(ObjectStore& store, const std::string& id,
                               const Root& source, Error error) {
  ASSIGN_OR_RETURN(const Record now, LoadRecord(store, id));
  if (now.value.root != source.id) return MoveReport{};
  error.code = Code::kCorrupt;
  return std::move(error).Wrap("the manifest " + id + " in the root " +
                               source.id + " is not whole");
}

// One try; kExists: the record was changed, try again.
Result<MoveReport> MoveOnce(ObjectStore& store, const std::string& id,
                            const Root& source, const MoveOptions& options) {
  ASSIGN_OR_RETURN(std::optional<Record> record, Announce(store, id, source));
  if (!record) return MoveReport{};
  MoveReport report;
  report.target = record->value.next_root;
  ASSIGN_OR_RETURN(const Root target, LoadRoot(store, report.target));
  if (!target.Is(kRootActive))
    return MakeError(Code::kExists, "the target has retired");
  Copied copied;
  Status done = CopyAll(store, id, source.id, report.target, options, copied);
  if (!done.ok() && done.error().code == Code::kNotFound)
    return ExplainLoss(store, id, source, std::move(done).error());
  RETURN_IF_ERROR(done);
  record->value.root = std::exchange(record->value.next_root, "");
  RETURN_IF_ERROR(ReplaceDocument(
      store, RecordKey(id), EncodeRecord(record->value), record->version));
  report.moved = true;
  report.copied_chunks = copied.chunks;
  report.copied_bytes = copied.bytes;
  return report;
}

}  // namespace

Result<MoveReport> MoveManifest(ObjectStore& store, const std::string& id,
                                const Root& source,
                                const MoveOptions& options) {
  MoveReport report;
  RETURN_IF_ERROR(
      RetryWhileChanged("the record of the manifest " + id, [&]() -> Status {
        ASSIGN_OR_RETURN(MoveReport once, MoveOnce(store, id, source, options));
        // Chunks that an earlier try copied are there now.
        once.copied_chunks += report.copied_chunks;
        once.copied_bytes += report.copied_bytes;
        report = std::move(once);
        return Ok();
      }));
  return report;
}

Status ClearMovesTo(ObjectStore& store, const std::string& root) {
  return ForEachKey(store, "manifests/", [&](const ObjectPage::Row& row) {
    return RetryWhileChanged(row.key, [&]() -> Status {
      ASSIGN_OR_RETURN(Document document, ReadDocument(store, row.key));
      if (document.json.StringOr("next_root", "") != root) return Ok();
      document.json["next_root"] = Json();
      return ReplaceDocument(store, row.key, std::move(document.json),
                             document.info.version);
    });
  });
}

}  // namespace morsel
