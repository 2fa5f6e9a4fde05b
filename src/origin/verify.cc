// SPDX-License-Identifier: Apache-2.0
#include "origin/verify.h"

#include <algorithm>

#include "base/mutex.h"
#include "base/parallel.h"

namespace morsel {
namespace {

bool IsDamage(Code code) {
  return code == Code::kNotFound || code == Code::kCorrupt ||
         code == Code::kIo || code == Code::kInvalid;
}

class Verifier {
 public:
  Verifier(Origin& origin, const ResolvedImage& image,
           const std::function<void(uint64_t)>& on_progress)
      : origin_(origin), image_(image), on_progress_(on_progress) {}

  Status Check(size_t position) EXCLUDES(mutex_) {
    const ManifestChunk chunk = image_.manifest.ChunkAt(position);
    Result<Bytes> bytes = origin_.ReadChunk(image_.record.root, chunk);
    if (!bytes.ok() && bytes.error().code == Code::kNotFound)
      bytes = ReadWhereItIsNow(chunk, std::move(bytes).error());
    if (!bytes.ok() && !IsDamage(bytes.error().code))
      return std::move(bytes).error();
    if (on_progress_) on_progress_(chunk.stored_length);
    const MutexLock lock(mutex_);
    ++report_.checked_chunks;
    report_.checked_bytes += chunk.stored_length;
    if (!bytes.ok()) AddDamage(chunk, bytes.error());
    return Ok();
  }

  // Call when all checks are done.
  VerifyReport TakeReport() EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    std::sort(report_.damages.begin(), report_.damages.end(), ByIndex);
    return std::move(report_);
  }

 private:
  static bool ByIndex(const ChunkDamage& a, const ChunkDamage& b) {
    return a.index < b.index;
  }

  // The manifest may have moved to another root with all its chunks.
  Result<Bytes> ReadWhereItIsNow(const ManifestChunk& chunk, Error missing) {
    ASSIGN_OR_RETURN(const ManifestRecord record,
                     origin_.ReadRecord(image_.record.id));
    if (record.root == image_.record.root) return missing;
    return origin_.ReadChunk(record.root, chunk);
  }

  // Keeps the damages with the lowest indices, so that the list does not
  // depend on the threads.
  void AddDamage(const ManifestChunk& chunk, const Error& error)
      REQUIRES(mutex_) {
    ++report_.damaged_chunks;
    report_.damages.push_back({chunk.index, chunk.name, error.message});
    std::push_heap(report_.damages.begin(), report_.damages.end(), ByIndex);
    if (report_.damages.size() <= kMaxListedDamages) return;
    std::pop_heap(report_.damages.begin(), report_.damages.end(), ByIndex);
    report_.damages.pop_back();
  }

  Origin& origin_;
  const ResolvedImage& image_;
  const std::function<void(uint64_t)>& on_progress_;
  Mutex mutex_;
  VerifyReport report_ GUARDED_BY(mutex_);
};

// What the record says of the manifest, for lists that do not read it.
Status CheckSizes(const ManifestRecord& record, const Manifest& manifest) {
  if (record.virtual_size == manifest.virtual_size() &&
      record.stored_bytes == manifest.stored_bytes() &&
      record.chunk_count == manifest.chunk_count())
    return Ok();
  return MakeError(Code::kCorrupt,
                   "the record of manifest " + record.id +
                       " states other sizes than the manifest has; convert "
                       "the image again, or restore the record from a copy of "
                       "the origin");
}

}  // namespace

Result<VerifyReport> VerifyImage(
    Origin& origin, const ResolvedImage& image, size_t thread_count,
    const std::function<void(uint64_t)>& on_progress) {
  RETURN_IF_ERROR(CheckSizes(image.record, image.manifest));
  Verifier verifier(origin, image, on_progress);
  JobPool pool(std::max<size_t>(thread_count, 1), 2 * thread_count + 1);
  for (size_t i = 0; i < image.manifest.chunk_count(); ++i)
    RETURN_IF_ERROR(pool.Submit([&verifier, i] { return verifier.Check(i); }));
  RETURN_IF_ERROR(pool.Finish());
  return verifier.TakeReport();
}

}  // namespace morsel
