// SPDX-License-Identifier: Apache-2.0
#include "image/convert.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/parallel.h"
#include "chunk/seal.h"
#include "image/flatten.h"
#include "image/upload.h"

namespace morsel {
namespace {

// Uploads that wait for the store beside the threads that compute.
constexpr size_t kWaitingUploads = 14;
// How many rotations one convert follows: each takes hours.
constexpr int kRotationsMax = 3;

FlattenOptions OptionsOf(const ConvertRequest& request) {
  return {.source = request.source,
          .platform = request.platform,
          .spool_dir = request.spool_dir,
          .thread_count = std::max<size_t>(1, request.thread_count)};
}

Result<ImageName> NameOf(const ConvertRequest& request,
                         const std::string& suggested) {
  if (!request.name.repository.empty()) return request.name;
  Result<ImageName> name = ImageName::Parse(suggested);
  if (!name.ok())
    return MakeError(Code::kInvalid, "the source's own name \"" + suggested +
                                         "\" cannot name an image (" +
                                         name.error().message +
                                         "): give it another after the source");
  return name;
}

bool SameChunks(const Manifest& manifest,
                const std::vector<ManifestChunk>& chunks) {
  if (manifest.chunk_count() != chunks.size()) return false;
  for (size_t i = 0; i < chunks.size(); ++i) {
    const ManifestChunk chunk = manifest.ChunkAt(i);
    if (chunk.index != chunks[i].index || chunk.name != chunks[i].name ||
        chunk.stored_length != chunks[i].stored_length)
      return false;
  }
  return true;
}

// Whether what the name shows says the same as a new manifest would: a second
// convert of an image then changes nothing in the origin.
bool IsPublished(const ConvertContext& context, const ResolvedImage& shown,
                 const ImageName& name, const FlatImage& flat,
                 const WritableRoot& root, const UploadedChunks& uploaded) {
  if (shown.image_digest != flat.digest || shown.record.root != root.id ||
      shown.manifest.root_of_birth() != root.id ||
      shown.record.virtual_size != shown.manifest.virtual_size() ||
      shown.record.stored_bytes != shown.manifest.stored_bytes() ||
      shown.record.chunk_count != shown.manifest.chunk_count() ||
      shown.manifest.virtual_size() != flat.ext4->size_bytes() ||
      !SameChunks(shown.manifest, uploaded.chunks))
    return false;
  const Result<SecretKey> data_key =
      context.origin.UnwrapDataKey(shown.record, name, context.keys);
  if (!data_key.ok()) return false;
  const Result<OpenManifest> open =
      OpenManifest::Open(Manifest(shown.manifest), *data_key);
  return open.ok() && open->config() == flat.config;
}

// Manifest, record and pointer, in this order.
Result<std::string> Publish(const ConvertContext& context,
                            const ImageName& name, const FlatImage& flat,
                            const WritableRoot& root, UploadedChunks uploaded,
                            const std::vector<uint32_t>& startup_chunks) {
  // The context of a wrapping is the repository: tags may move within it.
  ASSIGN_OR_RETURN(const GeneratedKey data_key,
                   context.keys.Generate(name.repository));
  const ManifestContents contents = {
      .virtual_size = flat.ext4->size_bytes(),
      .root_of_birth = root.id,
      .salt_id = root.salt_id,
      .popular_version = uploaded.popular_version,
      .chunks = std::move(uploaded.chunks),
      .keys = std::move(uploaded.keys),
      .config = flat.config};
  ASSIGN_OR_RETURN(const Manifest manifest,
                   Manifest::Parse(EncodeManifest(contents, data_key.key)));
  RETURN_IF_ERROR(context.origin.PublishManifest(
      root.id, manifest, name.repository, data_key.wrapped, startup_chunks));
  RETURN_IF_ERROR(context.origin.PublishPointer(
      name, {.image_digest = flat.digest,
             .manifest_id = manifest.id(),
             .created_unix_seconds = context.clock.UnixSeconds()}));
  return manifest.id();
}

ConvertReport MakeReport(const ImageName& name, const FlatImage& flat,
                         const WritableRoot& root,
                         const UploadedChunks& uploaded) {
  ConvertReport report;
  report.name = name;
  report.image_digest = flat.digest;
  report.root = root.id;
  report.virtual_size = flat.ext4->size_bytes();
  report.chunk_count = uploaded.chunks.size();
  for (const ManifestChunk& chunk : uploaded.chunks)
    report.stored_bytes += chunk.stored_length;
  report.new_chunk_count = uploaded.new_chunk_count;
  report.new_bytes = uploaded.new_bytes;
  report.resealed_chunk_count = uploaded.resealed_count;
  report.rewritten_chunk_count = uploaded.rewritten_count;
  report.file_bytes = flat.file_bytes;
  report.entry_count = flat.entry_count;
  report.warnings = flat.warnings;
  return report;
}

Status ExportChunk(const FlatImage& flat, uint32_t index, int fd) {
  Bytes buffer(kChunkSize);
  RETURN_IF_ERROR(flat.ext4->ReadChunk(index, *flat.spool, buffer));
  const uint32_t length = StoredLength(buffer);
  return WriteFullAt(fd, uint64_t{index} * kChunkSize,
                     ByteSpan(buffer).first(length));
}

Status ExportTo(const FlatImage& flat, int fd, size_t threads,
                Progress& progress) {
  if (::ftruncate(fd, static_cast<off_t>(flat.ext4->size_bytes())) != 0)
    return ErrnoError(errno, "set the file's size");
  progress.Begin("Writing chunks",
                 flat.ext4->chunks().size() * uint64_t{kChunkSize});
  JobPool pool(threads, threads);
  for (const uint32_t index : flat.ext4->chunks()) {
    const Status submitted = pool.Submit([&, index] {
      progress.Add(kChunkSize);
      return ExportChunk(flat, index, fd);
    });
    if (!submitted.ok()) break;
  }
  RETURN_IF_ERROR(pool.Finish());
  progress.End();
  return Ok();
}

// The root's list of popular chunks. A convert goes on without one that is
// damaged: what it makes is then the image of version 0, no list, which its
// manifest says, and only spreads its chunks less.
Result<PopularList> PopularOf(const ConvertContext& context,
                              const WritableRoot& root,
                              std::vector<std::string>& warnings) {
  Result<PopularList> list = context.origin.ReadPopular(root.id);
  if (list.ok() || list.error().code != Code::kCorrupt) return list;
  warnings.push_back("popular chunks are not spread over several objects: " +
                     list.error().message);
  return PopularList{};
}

// Uploads and publishes into the root that is active now.
Result<ConvertReport> ConvertOnce(const ConvertContext& context,
                                  const ConvertRequest& request,
                                  const ImageName& name, const FlatImage& flat,
                                  const WritableRoot& root) {
  std::vector<std::string> warnings;
  ASSIGN_OR_RETURN(const PopularList popular,
                   PopularOf(context, root, warnings));
  ASSIGN_OR_RETURN(
      UploadedChunks uploaded,
      UploadChunks(*flat.ext4, *flat.spool, root, context.origin,
                   {.repository = name.repository,
                    .popular = popular,
                    .concurrency = request.thread_count + kWaitingUploads,
                    .rewrite = request.rewrite},
                   context.progress));
  uploaded.popular_version = popular.version;
  ConvertReport report = MakeReport(name, flat, root, uploaded);
  report.warnings.insert(report.warnings.end(), warnings.begin(),
                         warnings.end());
  const Result<ResolvedImage> shown = context.origin.Resolve(name);
  if (shown.ok() && IsPublished(context, *shown, name, flat, root, uploaded)) {
    report.manifest_id = shown->record.id;
    return report;
  }
  // A new version starts much as the last one did.
  const std::vector<uint32_t> startup_chunks =
      shown.ok() ? shown->record.startup_chunks : std::vector<uint32_t>();
  ASSIGN_OR_RETURN(
      report.manifest_id,
      Publish(context, name, flat, root, std::move(uploaded), startup_chunks));
  return report;
}

// Whether a publication failed since its root was retired meanwhile.
bool WasRotated(const ConvertContext& context, const WritableRoot& root,
                const Error& error) {
  if (error.code != Code::kUnavailable) return false;
  const Result<bool> active = context.origin.IsActive(root.id);
  return active.ok() && !*active;
}

}  // namespace

Result<ConvertReport> ConvertImage(const ConvertRequest& request,
                                   const ConvertContext& context) {
  const FlattenOptions options = OptionsOf(request);
  // Asked first: a key that may not convert is found before the work.
  RootChoice choice{
      .placement = request.placement, .tenant = request.tenant, .affinity = {}};
  ASSIGN_OR_RETURN(WritableRoot root,
                   context.origin.OpenActiveRoot(context.keys, choice));
  ASSIGN_OR_RETURN(const FlatImage flat,
                   FlattenImage(options, context.progress));
  choice.affinity = flat.lowest_diff_id;
  if (!root.is_only_choice) {
    ASSIGN_OR_RETURN(root, context.origin.OpenActiveRoot(context.keys, choice));
  }
  ASSIGN_OR_RETURN(const ImageName name, NameOf(request, flat.suggested_name));
  for (int tries = 1;; ++tries) {
    Result<ConvertReport> report =
        ConvertOnce(context, request, name, flat, root);
    if (report.ok() || tries == kRotationsMax ||
        !WasRotated(context, root, report.error()))
      return report;
    LogWarn("the root was retired meanwhile: publishing into another",
            {{"image", name.ToString()}, {"root", root.id}});
    ASSIGN_OR_RETURN(root, context.origin.OpenActiveRoot(context.keys, choice));
  }
}

Status ExportExt4(const ConvertRequest& request, const std::string& path,
                  Progress& progress) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    return MakeError(Code::kInvalid,
                     path + " is there and no regular file; name another");
  const FlattenOptions options = OptionsOf(request);
  ASSIGN_OR_RETURN(const FlatImage flat, FlattenImage(options, progress));
  // Beside it, so that a failure leaves what was there.
  std::string temporary = path + ".tmp-XXXXXX";
  const Fd file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file) return ErrnoError(errno, "make a temporary file for " + path);
  Status written = ExportTo(flat, file.get(), options.thread_count, progress);
  if (written.ok() && (::fchmod(file.get(), 0644) != 0 ||
                       ::rename(temporary.c_str(), path.c_str()) != 0))
    written = ErrnoError(errno, "put it in its place");
  if (written.ok()) return Ok();
  ::unlink(temporary.c_str());
  return Error(written.error()).Wrap(path);
}

}  // namespace morsel
