// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/random.h"
#include "crypto/cipher.h"
#include "manifest/layout.h"
#include "manifest/manifest.h"

namespace morsel {
namespace {

using namespace manifest_layout;

void StoreText(std::string_view text, size_t offset, size_t room, Bytes& out) {
  CHECK(text.size() < room);
  const ByteSpan bytes = AsBytes(text);
  std::copy(bytes.begin(), bytes.end(), out.begin() + offset);
}

void StoreHeader(const ManifestContents& contents, const GcmNonce& nonce,
                 Bytes& out) {
  StoreText(kMagic, kMagicOffset, kMagic.size() + 1, out);
  StoreLe<uint32_t>(&out[kVersionOffset],
                    contents.popular_version == 0 ? kVersion : kVersionPopular);
  StoreLe<uint32_t>(&out[kPopularOffset], contents.popular_version);
  StoreLe<uint32_t>(&out[kChunkSizeOffset], kChunkSize);
  StoreLe<uint64_t>(&out[kVirtualSizeOffset], contents.virtual_size);
  StoreLe<uint32_t>(&out[kChunkCountOffset],
                    static_cast<uint32_t>(contents.chunks.size()));
  StoreLe<uint32_t>(&out[kConfigLengthOffset],
                    static_cast<uint32_t>(contents.config.size()));
  StoreText(contents.root_of_birth, kRootOffset, kRootLength, out);
  StoreText(contents.salt_id, kSaltIdOffset, kSaltIdLength, out);
  std::copy(nonce.begin(), nonce.end(), out.begin() + kNonceOffset);
}

void StoreRow(const ManifestChunk& chunk, std::byte* row) {
  StoreLe<uint32_t>(row + kRowIndexOffset, chunk.index);
  StoreLe<uint32_t>(row + kRowLengthOffset, chunk.stored_length);
  const Digest& name = chunk.name.digest();
  std::copy(name.begin(), name.end(), row + kRowNameOffset);
}

}  // namespace

Bytes EncodeManifest(const ManifestContents& contents,
                     const SecretKey& data_key) {
  CHECK(contents.keys.size() == contents.chunks.size() * kKeySize);
  CHECK(contents.chunks.size() <= kMaxChunkCount);
  CHECK(contents.config.size() <= kMaxConfigLength);
  GcmNonce nonce;
  SystemRandom().Fill(nonce);
  Bytes out(kHeaderSize + contents.chunks.size() * kRowSize);
  StoreHeader(contents, nonce, out);
  for (size_t i = 0; i < contents.chunks.size(); ++i)
    StoreRow(contents.chunks[i], &out[kHeaderSize + i * kRowSize]);
  SecretBuffer secret(contents.keys.size() + contents.config.size());
  const ByteSpan keys = contents.keys.bytes();
  const ByteSpan config = AsBytes(contents.config);
  const auto end =
      std::copy(keys.begin(), keys.end(), secret.mutable_bytes().begin());
  std::copy(config.begin(), config.end(), end);
  const Bytes sealed = AesGcmSeal(data_key, nonce, out, secret.bytes());
  out.insert(out.end(), sealed.begin(), sealed.end());
  return out;
}

}  // namespace morsel
