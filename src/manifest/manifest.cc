// SPDX-License-Identifier: Apache-2.0
// Parsing. The order is: sizes first, then the header's fields, then the table
// row by row; no field is used before it was checked, and the total length
// must be exactly what the header says.
#include "manifest/manifest.h"

#include <algorithm>

#include "crypto/cipher.h"
#include "manifest/layout.h"

namespace morsel {
namespace {

using namespace manifest_layout;

Error Damaged(const std::string& what, size_t offset) {
  return MakeError(Code::kCorrupt, "the manifest is damaged: " + what +
                                       " at byte " + std::to_string(offset));
}

// A text field: printable ASCII without spaces, zero padded, not empty.
Result<std::string> LoadText(ByteSpan bytes, size_t offset, size_t room,
                             const char* what) {
  const std::string_view field = AsText(bytes.subspan(offset, room));
  const size_t length = std::min(field.find('\0'), field.size());
  const bool printable =
      std::all_of(field.begin(), field.begin() + length,
                  [](char c) { return c > ' ' && c < 0x7f; });
  const bool padded = std::all_of(field.begin() + length, field.end(),
                                  [](char c) { return c == '\0'; });
  if (length == 0 || length == room || !printable || !padded)
    return Damaged(std::string("bad ") + what, offset);
  return std::string(field.substr(0, length));
}

Status CheckPreamble(ByteSpan bytes) {
  if (bytes.size() < kHeaderSize + kGcmTagSize)
    return Damaged("too short", bytes.size());
  if (AsText(bytes.first(kMagic.size())) != kMagic)
    return Damaged("no magic number", kMagicOffset);
  const auto version = LoadLe<uint32_t>(&bytes[kVersionOffset]);
  if (version != kVersion && version != kVersionPopular)
    return Damaged("unknown version " + std::to_string(version) +
                       " (a newer Morsel wrote it?)",
                   kVersionOffset);
  if (LoadLe<uint32_t>(&bytes[kChunkSizeOffset]) != kChunkSize)
    return Damaged("unknown chunk size", kChunkSizeOffset);
  const auto virtual_size = LoadLe<uint64_t>(&bytes[kVirtualSizeOffset]);
  if (virtual_size == 0 || virtual_size > kMaxVirtualSize ||
      virtual_size % kChunkSize != 0)
    return Damaged("bad virtual size", kVirtualSizeOffset);
  const auto popular = LoadLe<uint32_t>(&bytes[kPopularOffset]);
  if ((popular != 0) != (version == kVersionPopular))
    return Damaged("bad version of popular chunks", kPopularOffset);
  return Ok();
}

// The header says how long the whole must be.
Status CheckLength(ByteSpan bytes) {
  const auto chunk_count = LoadLe<uint32_t>(&bytes[kChunkCountOffset]);
  const auto config_length = LoadLe<uint32_t>(&bytes[kConfigLengthOffset]);
  if (chunk_count > kMaxChunkCount)
    return Damaged("too many chunks", kChunkCountOffset);
  if (config_length > kMaxConfigLength)
    return Damaged("too long a config", kConfigLengthOffset);
  const uint64_t expected = kHeaderSize +
                            uint64_t{chunk_count} * (kRowSize + kKeySize) +
                            config_length + kGcmTagSize;
  if (bytes.size() != expected)
    return Damaged("length is not " + std::to_string(expected), bytes.size());
  return Ok();
}

ManifestChunk LoadRow(const std::byte* row) {
  Digest name;
  std::copy_n(row + kRowNameOffset, kDigestSize, name.begin());
  return {.index = LoadLe<uint32_t>(row + kRowIndexOffset),
          .stored_length = LoadLe<uint32_t>(row + kRowLengthOffset),
          .name = ChunkName(name)};
}

}  // namespace

Result<Manifest> Manifest::Parse(Bytes bytes) {
  RETURN_IF_ERROR(CheckPreamble(bytes));
  RETURN_IF_ERROR(CheckLength(bytes));
  Manifest manifest;
  manifest.virtual_size_ = LoadLe<uint64_t>(&bytes[kVirtualSizeOffset]);
  manifest.popular_version_ = LoadLe<uint32_t>(&bytes[kPopularOffset]);
  manifest.chunk_count_ = LoadLe<uint32_t>(&bytes[kChunkCountOffset]);
  ASSIGN_OR_RETURN(manifest.root_of_birth_,
                   LoadText(bytes, kRootOffset, kRootLength, "root id"));
  ASSIGN_OR_RETURN(manifest.salt_id_,
                   LoadText(bytes, kSaltIdOffset, kSaltIdLength, "salt id"));
  manifest.table_offset_ = kHeaderSize;
  manifest.sealed_offset_ = kHeaderSize + manifest.chunk_count_ * kRowSize;
  const uint64_t index_end = manifest.virtual_size_ / kChunkSize;
  uint64_t lowest = 0;  // the lowest index that the next row may have
  for (size_t i = 0; i < manifest.chunk_count_; ++i) {
    const size_t offset = manifest.table_offset_ + i * kRowSize;
    const auto index = LoadLe<uint32_t>(&bytes[offset + kRowIndexOffset]);
    const auto length = LoadLe<uint32_t>(&bytes[offset + kRowLengthOffset]);
    if (index < lowest || index >= index_end)
      return Damaged("bad chunk index", offset + kRowIndexOffset);
    if (length == 0 || length > kChunkSize || length % kPageSize != 0)
      return Damaged("bad stored length", offset + kRowLengthOffset);
    lowest = uint64_t{index} + 1;
    manifest.stored_bytes_ += length;
  }
  manifest.id_ = ToHex(Sha256Of(bytes));
  manifest.bytes_ = std::move(bytes);
  return manifest;
}

ManifestChunk Manifest::ChunkAt(size_t position) const {
  CHECK(position < chunk_count_);
  return LoadRow(&bytes_[table_offset_ + position * kRowSize]);
}

std::optional<size_t> Manifest::FindChunk(uint32_t index) const {
  size_t low = 0;
  size_t high = chunk_count_;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const std::byte* row = &bytes_[table_offset_ + middle * kRowSize];
    const auto found = LoadLe<uint32_t>(row + kRowIndexOffset);
    if (found == index) return middle;
    if (found < index)
      low = middle + 1;
    else
      high = middle;
  }
  return std::nullopt;
}

Result<OpenManifest> OpenManifest::Open(Manifest manifest,
                                        const SecretKey& data_key) {
  const ByteSpan all = manifest.bytes_;
  const ByteSpan clear = all.first(manifest.sealed_offset_);
  const ByteSpan sealed = all.subspan(manifest.sealed_offset_);
  GcmNonce nonce;
  std::copy_n(all.begin() + kNonceOffset, kGcmNonceSize, nonce.begin());
  SecretBuffer secret(sealed.size() - kGcmTagSize);
  const Status opened =
      AesGcmOpen(data_key, nonce, clear, sealed, secret.mutable_bytes());
  if (!opened.ok())
    return MakeError(Code::kCorrupt,
                     "the manifest " + manifest.id_.substr(0, 12) +
                         " does not authenticate under its data key; convert "
                         "the image again, or restore its record from a copy "
                         "of the origin");
  return OpenManifest(std::move(manifest), std::move(secret));
}

ByteSpan OpenManifest::KeyAt(size_t position) const {
  CHECK(position < manifest_.chunk_count());
  return sealed_.bytes().subspan(position * kKeySize, kKeySize);
}

std::string_view OpenManifest::config() const {
  return AsText(sealed_.bytes().subspan(manifest_.chunk_count() * kKeySize));
}

}  // namespace morsel
