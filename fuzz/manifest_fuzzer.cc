// SPDX-License-Identifier: Apache-2.0
// Any bytes as a manifest: parsing must not fail in another way than by an
// error, and what it accepts must keep every promise of manifest.h. Seeds are
// sealed under kDataKey, so that the sealed part is reached too.
#include <cstdlib>

#include "base/check.h"
#include "manifest/manifest.h"

namespace morsel {
namespace {

constexpr std::string_view kDataKey = "0123456789abcdef0123456789abcdef";

void CheckTable(const Manifest& manifest) {
  uint64_t stored = 0;
  uint64_t lowest = 0;
  for (size_t i = 0; i < manifest.chunk_count(); ++i) {
    const ManifestChunk chunk = manifest.ChunkAt(i);
    CHECK(chunk.index >= lowest);
    CHECK(uint64_t{chunk.index} * kChunkSize < manifest.virtual_size());
    CHECK(chunk.stored_length > 0 && chunk.stored_length <= kChunkSize &&
          chunk.stored_length % kPageSize == 0);
    CHECK(manifest.FindChunk(chunk.index) == i);
    lowest = uint64_t{chunk.index} + 1;
    stored += chunk.stored_length;
  }
  CHECK(stored == manifest.stored_bytes());
  CHECK(!manifest.FindChunk(static_cast<uint32_t>(lowest)).has_value());
}

void CheckSealedPart(Manifest manifest) {
  const Result<OpenManifest> open =
      OpenManifest::Open(std::move(manifest), SecretKey(AsBytes(kDataKey)));
  if (!open.ok()) {
    CHECK(open.error().code == Code::kCorrupt);
    return;
  }
  for (size_t i = 0; i < open->manifest().chunk_count(); ++i) {
    CHECK(open->KeyAt(i).size() == kKeySize);
  }
  CHECK(open->config().size() <= open->manifest().bytes().size());
}

void FuzzOne(ByteSpan input) {
  Result<Manifest> manifest = Manifest::Parse(CopyBytes(input));
  if (!manifest.ok()) {
    CHECK(manifest.error().code == Code::kCorrupt);
    return;
  }
  CHECK(manifest->bytes().size() == input.size());
  CheckTable(*manifest);
  CheckSealedPart(std::move(manifest).value());
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  morsel::FuzzOne(std::as_bytes(std::span(data, size)));
  return 0;
}
