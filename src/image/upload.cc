// SPDX-License-Identifier: Apache-2.0
#include "image/upload.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/parallel.h"
#include "chunk/seal.h"

namespace morsel {
namespace {

// Each job works on its own places of the two tables.
struct Tables {
  explicit Tables(size_t count) : chunks(count), keys(count * kKeySize) {}

  std::vector<ManifestChunk> chunks;  // stored_length 0: all zeros
  SecretBuffer keys;
  std::atomic<uint64_t> new_chunk_count{0};
  std::atomic<uint64_t> new_bytes{0};
  std::atomic<uint64_t> resealed_count{0};
  std::atomic<uint64_t> rewritten_count{0};
};

// How chunks are sealed and where they go: the same for all of an image.
struct Plan {
  const WritableRoot& root;
  const PopularList& popular;
  const SecretKey variant_salt;
  const KnownChunks known;
  const bool rewrite;
  Origin& origin;
};

SealedChunk Seal(const Plan& plan, MutableByteSpan stored, Tables& tables) {
  SealedChunk sealed = SealChunk(plan.root.salt, plan.root.id, stored);
  if (plan.popular.variants < 2 || !plan.popular.Contains(sealed.name))
    return sealed;
  ++tables.resealed_count;
  return ResealChunk(sealed, plan.variant_salt, plan.root.id, stored);
}

// What the origin has under the name, asked for if it was not listed.
Result<KnownChunks::Answer> Look(const Plan& plan, const ChunkName& name,
                                 uint32_t length) {
  using Answer = KnownChunks::Answer;
  const Answer known = plan.known.Look(name, length);
  if (known != Answer::kUnknown) return known;
  const Result<uint64_t> size = plan.origin.ChunkSize(plan.root.id, name);
  if (size.ok()) return *size == length ? Answer::kPresent : Answer::kDamaged;
  if (size.error().code == Code::kNotFound) return Answer::kAbsent;
  return size.error();
}

// Sends the bytes only if they are not there already, as far as a list tells.
Status Store(const Plan& plan, const ChunkName& name, ByteSpan stored,
             Tables& tables) {
  using Answer = KnownChunks::Answer;
  ASSIGN_OR_RETURN(const Answer found,
                   Look(plan, name, static_cast<uint32_t>(stored.size())));
  if (found == Answer::kPresent && !plan.rewrite) return Ok();
  if (found != Answer::kAbsent) {
    ++tables.rewritten_count;
    return plan.origin.RewriteChunk(plan.root.id, name, stored);
  }
  bool was_absent = false;
  RETURN_IF_ERROR(
      plan.origin.PutChunk(plan.root.id, name, stored, &was_absent));
  if (was_absent) {
    ++tables.new_chunk_count;
    tables.new_bytes += stored.size();
  } else if (plan.rewrite) {
    // Something that no list shows stands in its place.
    ++tables.rewritten_count;
    return plan.origin.RewriteChunk(plan.root.id, name, stored);
  }
  return Ok();
}

Status UploadOne(const Ext4Image& image, DataSource& source, const Plan& plan,
                 size_t position, Tables& tables) {
  const uint32_t index = image.chunks()[position];
  Bytes buffer(kChunkSize);
  RETURN_IF_ERROR_AS(image.ReadChunk(index, source, buffer),
                     "chunk " + std::to_string(index));
  const uint32_t length = StoredLength(buffer);
  if (length == 0) return Ok();
  const MutableByteSpan stored = MutableByteSpan(buffer).first(length);
  const SealedChunk sealed = Seal(plan, stored, tables);
  RETURN_IF_ERROR_AS(Store(plan, sealed.name, stored, tables),
                     "chunk " + sealed.name.Short());
  tables.chunks[position] = {index, length, sealed.name};
  std::copy_n(sealed.key.bytes().begin(), kKeySize,
              tables.keys.mutable_bytes().begin() + position * kKeySize);
  return Ok();
}

// Without the chunks that turned out to be all zeros.
UploadedChunks Compact(Tables& tables) {
  UploadedChunks out;
  const auto is_stored = [](const ManifestChunk& chunk) {
    return chunk.stored_length > 0;
  };
  const size_t count = static_cast<size_t>(
      std::count_if(tables.chunks.begin(), tables.chunks.end(), is_stored));
  out.keys = SecretBuffer(count * kKeySize);
  out.chunks.reserve(count);
  for (size_t i = 0; i < tables.chunks.size(); ++i) {
    if (!is_stored(tables.chunks[i])) continue;
    std::copy_n(
        tables.keys.bytes().begin() + i * kKeySize, kKeySize,
        out.keys.mutable_bytes().begin() + out.chunks.size() * kKeySize);
    out.chunks.push_back(tables.chunks[i]);
  }
  out.new_chunk_count = tables.new_chunk_count;
  out.new_bytes = tables.new_bytes;
  out.resealed_count = tables.resealed_count;
  out.rewritten_count = tables.rewritten_count;
  return out;
}

}  // namespace

Result<UploadedChunks> UploadChunks(const Ext4Image& image, DataSource& source,
                                    const WritableRoot& root, Origin& origin,
                                    const UploadOptions& options,
                                    Progress& progress) {
  const size_t count = image.chunks().size();
  ASSIGN_OR_RETURN(KnownChunks known, origin.LoadKnownChunks(root.id, count));
  const Plan plan = {
      .root = root,
      .popular = options.popular,
      .variant_salt =
          VariantSalt(root.salt, options.popular.VariantOf(options.repository)),
      .known = std::move(known),
      .rewrite = options.rewrite,
      .origin = origin};
  progress.Begin("Writing chunks", count * uint64_t{kChunkSize});
  Tables tables(count);
  JobPool pool(options.concurrency, options.concurrency);
  for (size_t i = 0; i < count; ++i) {
    const Status submitted = pool.Submit([&, i] {
      const Status done = UploadOne(image, source, plan, i, tables);
      progress.Add(kChunkSize);
      return done;
    });
    if (!submitted.ok()) break;
  }
  RETURN_IF_ERROR(pool.Finish());
  progress.End();
  return Compact(tables);
}

}  // namespace morsel
