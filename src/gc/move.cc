// SPDX-License-Identifier: Apache-2.0
#include "gc/move.h"

#include <atomic>
#include <optional>
#include <utility>

#include "base/parallel.h"
#include "crypto/hash.h"
#include "origin/chunk_object.h"
#include "origin/document.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxManifestBytes = 64 * kMiB;
// What a target is listed for: a rotation copies many manifests into it.
constexpr size_t kListedFor = 100'000;

using Record = Versioned<ManifestRecord>;

// Of the active roots like `source`, the one that the manifest's id prefers
// (rendezvous hashing): two movers choose alike.
std::optional<std::string> Prefer(const std::vector<Root>& roots,
                                  const Root& source, const std::string& id) {
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

// Writes where the manifest will go, unless that stands there already. kExists:
// the record was changed.
Result<Record> Announce(ObjectStore& store, Record record,
                        const std::string& target) {
  if (record.value.next_root == target) return record;
  const std::string id = record.value.id;
  const std::string source = record.value.root;
  record.value.next_root = target;
  RETURN_IF_ERROR(ReplaceDocument(store, RecordKey(id),
                                  EncodeRecord(record.value), record.version));
  ASSIGN_OR_RETURN(Record announced, LoadRecord(store, id));
  if (announced.value.root != source || announced.value.next_root != target)
    return MakeError(Code::kExists, "announced anew");
  return announced;
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

// Something that the record promises is not there, unless another mover was
// faster and the root that it left is being deleted.
Status ExplainLoss(ObjectStore& store, const std::string& id,
                   const Root& source, Error error) {
  ASSIGN_OR_RETURN(const Record now, LoadRecord(store, id));
  if (now.value.root != source.id) return Ok();
  error.code = Code::kCorrupt;
  return std::move(error).Wrap("the manifest " + id + " in the root " +
                               source.id + " is not whole");
}

// Copies what one manifest names; by several threads.
class ChunkCopier {
 public:
  ChunkCopier(ObjectStore& store, const std::string& source,
              const std::string& target, const KnownChunks& listed,
              NameCache& present)
      : store_(store),
        source_(source),
        target_(target),
        listed_(listed),
        present_(present) {}

  Status Copy(const ManifestChunk& chunk) {
    if (present_.Contains(chunk.name)) return Ok();
    ASSIGN_OR_RETURN(const bool is_there, IsThere(chunk));
    if (!is_there) {
      RETURN_IF_ERROR(store_.Copy(ChunkKey(source_, chunk.name),
                                  ChunkKey(target_, chunk.name)));
      ++chunks_;
      bytes_ += chunk.stored_length;
    }
    present_.Add(chunk.name);
    return Ok();
  }
  uint64_t chunks() const { return chunks_; }
  uint64_t bytes() const { return bytes_; }

 private:
  // Nothing is deleted in an active root, so what was listed stays. What was
  // not, another mover may have copied since: then it is copied once more, as
  // is what has another size than it should.
  Result<bool> IsThere(const ManifestChunk& chunk) {
    const KnownChunks::Answer answer =
        listed_.Look(chunk.name, chunk.stored_length);
    if (answer != KnownChunks::Answer::kUnknown)
      return answer == KnownChunks::Answer::kPresent;
    const Result<ObjectInfo> info = store_.Head(ChunkKey(target_, chunk.name));
    if (info.ok()) return info->size_bytes == chunk.stored_length;
    if (info.error().code == Code::kNotFound) return false;
    return info.error();
  }

  ObjectStore& store_;
  const std::string& source_;
  const std::string& target_;
  const KnownChunks& listed_;
  NameCache& present_;
  std::atomic<uint64_t> chunks_{0};
  std::atomic<uint64_t> bytes_{0};
};

Status CopyChunks(ChunkCopier& copier, const Manifest& manifest,
                  size_t thread_count) {
  if (thread_count <= 1) {
    for (size_t i = 0; i < manifest.chunk_count(); ++i)
      RETURN_IF_ERROR(copier.Copy(manifest.ChunkAt(i)));
    return Ok();
  }
  JobPool pool(thread_count, thread_count);
  for (size_t i = 0; i < manifest.chunk_count(); ++i) {
    const Status submitted = pool.Submit(
        [&, chunk = manifest.ChunkAt(i)] { return copier.Copy(chunk); });
    if (!submitted.ok()) break;
  }
  return pool.Finish();
}

}  // namespace

Result<std::string> Mover::ChooseTarget(const std::string& id,
                                        const Root& source) {
  const MutexLock lock(mutex_);
  std::optional<std::string> target = Prefer(roots_, source, id);
  if (target) return *std::move(target);
  return MakeError(Code::kInvalid,
                   "there is no active root to which the manifests of " +
                       source.id +
                       " could move: make one by `morsel roots new`");
}

Status Mover::ReadRootsAgain() {
  ASSIGN_OR_RETURN(std::vector<Root> roots, LoadRoots(store_));
  const MutexLock lock(mutex_);
  roots_ = std::move(roots);
  return Ok();
}

Result<Mover::Target*> Mover::KnownOf(const std::string& root) {
  {
    const MutexLock lock(mutex_);
    const auto known = targets_.find(root);
    if (known != targets_.end()) return known->second.get();
  }
  ASSIGN_OR_RETURN(KnownChunks listed,
                   KnownChunks::Load(store_, root, kListedFor));
  auto target = std::make_unique<Target>(std::move(listed));
  const MutexLock lock(mutex_);
  return targets_.try_emplace(root, std::move(target)).first->second.get();
}

Status Mover::Prepare(const Root& source) {
  std::vector<std::string> targets;
  {
    const MutexLock lock(mutex_);
    for (const Root& root : roots_)
      if (root.Is(kRootActive) && root.IsLike(source))
        targets.push_back(root.id);
  }
  for (const std::string& root : targets) {
    ASSIGN_OR_RETURN(Target* const target, KnownOf(root));
    CHECK(target != nullptr);
  }
  return Ok();
}

Status Mover::CopyAll(const std::string& id, const std::string& source,
                      size_t thread_count, MoveReport& report) {
  ASSIGN_OR_RETURN(const Manifest manifest, LoadManifest(store_, source, id));
  ASSIGN_OR_RETURN(Target* const target, KnownOf(report.target));
  ChunkCopier copier(store_, source, report.target, target->listed,
                     target->present);
  const Status copied = CopyChunks(copier, manifest, thread_count);
  report.copied_chunks += copier.chunks();
  report.copied_bytes += copier.bytes();
  RETURN_IF_ERROR(copied);
  return store_.Copy(ManifestKey(source, id), ManifestKey(report.target, id));
}

// One try; kExists: the record was changed, or the target has retired.
Status Mover::MoveOnce(const std::string& id, const Root& source,
                       size_t thread_count, MoveReport& report) {
  ASSIGN_OR_RETURN(Record record, LoadRecord(store_, id));
  if (record.value.root != source.id) return Ok();
  ASSIGN_OR_RETURN(report.target, ChooseTarget(id, source));
  ASSIGN_OR_RETURN(record, Announce(store_, std::move(record), report.target));
  ASSIGN_OR_RETURN(const Root target, LoadRoot(store_, report.target));
  if (!target.Is(kRootActive)) {
    RETURN_IF_ERROR(ReadRootsAgain());
    return MakeError(Code::kExists, "the target has retired");
  }
  const Status done = CopyAll(id, source.id, thread_count, report);
  if (!done.ok() && done.error().code == Code::kNotFound)
    return ExplainLoss(store_, id, source, done.error());
  RETURN_IF_ERROR(done);
  record.value.root = std::exchange(record.value.next_root, "");
  RETURN_IF_ERROR(ReplaceDocument(store_, RecordKey(id),
                                  EncodeRecord(record.value), record.version));
  report.moved = true;
  return Ok();
}

Result<MoveReport> Mover::Move(const std::string& id, const Root& source,
                               size_t thread_count) {
  MoveReport report;
  RETURN_IF_ERROR(RetryWhileChanged("the record of the manifest " + id, [&] {
    return MoveOnce(id, source, thread_count, report);
  }));
  return report;
}

}  // namespace morsel
