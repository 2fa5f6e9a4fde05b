// SPDX-License-Identifier: Apache-2.0
// Puts a synthetic image into an origin, for benchmarks that need a certain
// size and no file system: CHUNKS chunks, the first PAGES pages of each filled
// with bytes that differ from chunk to chunk.
//
//   make_image ORIGIN KEY_FILE NAME CHUNKS PAGES
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "base/parallel.h"
#include "base/random.h"
#include "chunk/seal.h"
#include "keys/file_key_service.h"
#include "origin/origin.h"
#include "store/open_store.h"

namespace morsel {
namespace {

constexpr size_t kThreads = 16;

struct Shape {
  uint32_t chunk_count;
  uint32_t pages_per_chunk;
};

Bytes Content(uint32_t index, uint32_t page_count) {
  Bytes bytes(size_t{page_count} * kPageSize);
  std::mt19937_64 generator(index);
  for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t))
    StoreLe<uint64_t>(bytes.data() + i, generator() | 1);
  return bytes;
}

// Chunk `i` of `contents`, and its key, which nobody else writes.
Status PutChunk(Origin& origin, const WritableRoot& root, const Shape& shape,
                uint32_t i, ManifestContents& contents) {
  Bytes bytes = Content(i, shape.pages_per_chunk);
  const SealedChunk sealed = SealChunk(root.salt, root.id, bytes);
  bool was_absent = false;
  RETURN_IF_ERROR(origin.PutChunk(root.id, sealed.name, bytes, &was_absent));
  contents.chunks[i] = {.index = i,
                        .stored_length = static_cast<uint32_t>(bytes.size()),
                        .name = sealed.name};
  const ByteSpan key = sealed.key.bytes();
  std::copy(key.begin(), key.end(),
            contents.keys.mutable_bytes().begin() + i * kKeySize);
  return Ok();
}

// Most of the time goes into waiting for the disk.
Status PutChunks(Origin& origin, const WritableRoot& root, const Shape& shape,
                 ManifestContents& contents) {
  contents.keys = SecretBuffer(shape.chunk_count * kKeySize);
  contents.chunks.resize(shape.chunk_count);
  JobPool pool(kThreads, 2 * kThreads);
  for (uint32_t i = 0; i < shape.chunk_count; ++i)
    RETURN_IF_ERROR(pool.Submit(
        [&, i] { return PutChunk(origin, root, shape, i, contents); }));
  return pool.Finish();
}

Status MakeImage(const std::string& origin_path, const std::string& key_path,
                 const std::string& name_text, const Shape& shape) {
  ASSIGN_OR_RETURN(const ImageName name, ImageName::Parse(name_text));
  ASSIGN_OR_RETURN(const std::unique_ptr<ObjectStore> store,
                   OpenStore(origin_path, Access::kWrite));
  if (!std::filesystem::exists(key_path))
    RETURN_IF_ERROR(FileKeyService::Create(key_path, SystemRandom()));
  ASSIGN_OR_RETURN(const std::unique_ptr<KeyService> keys,
                   FileKeyService::Open(key_path));
  Origin origin(*store, SystemClock());
  ASSIGN_OR_RETURN(const WritableRoot root, origin.OpenActiveRoot(*keys));
  ManifestContents contents;
  contents.virtual_size =
      RoundUp(uint64_t{shape.chunk_count} * kChunkSize, 16 * kGiB);
  contents.root_of_birth = root.id;
  contents.salt_id = root.salt_id;
  contents.config = "{\"architecture\":\"amd64\",\"os\":\"linux\"}";
  RETURN_IF_ERROR(PutChunks(origin, root, shape, contents));
  const SecretKey data_key = SecretKey::Generate(SystemRandom());
  ASSIGN_OR_RETURN(const Manifest manifest,
                   Manifest::Parse(EncodeManifest(contents, data_key)));
  ASSIGN_OR_RETURN(const WrappedKey wrapped,
                   keys->Wrap(data_key, name.repository));
  RETURN_IF_ERROR(
      origin.PublishManifest(root.id, manifest, name.repository, wrapped));
  return origin.PublishPointer(
      name, {.image_digest = "sha256:" + ToHex(Sha256Of(AsBytes(name_text))),
             .manifest_id = manifest.id(),
             .created_unix_seconds = SystemClock().UnixSeconds()});
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: make_image ORIGIN KEY_FILE NAME CHUNKS PAGES\n", stderr);
    return 2;
  }
  const morsel::Shape shape{
      .chunk_count = static_cast<uint32_t>(std::atoi(argv[4])),
      .pages_per_chunk = static_cast<uint32_t>(std::atoi(argv[5]))};
  const morsel::Status done =
      morsel::MakeImage(argv[1], argv[2], argv[3], shape);
  if (!done.ok()) std::fprintf(stderr, "%s\n", done.error().message.c_str());
  return done.ok() ? 0 : 1;
}
