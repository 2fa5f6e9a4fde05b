// SPDX-License-Identifier: Apache-2.0
#include "chunk/seal.h"

#include "base/check.h"
#include "crypto/cipher.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr std::string_view kKeyLabel = "morsel-chunk-key-1";

}  // namespace

SealedChunk SealChunk(const SecretKey& salt, std::string_view root_id,
                      MutableByteSpan plaintext) {
  CHECK(!plaintext.empty() && plaintext.size() <= kChunkSize &&
        plaintext.size() % kPageSize == 0);
  Digest hash = Sha256Of(plaintext);
  Digest key =
      HmacSha256(salt.bytes(), {AsBytes(kKeyLabel), AsBytes(root_id), hash});
  SealedChunk sealed{.name = {}, .key = SecretKey(key)};
  // Either of them opens the chunk (the hash together with the salt).
  Wipe(hash);
  Wipe(key);
  AesCtrXor(sealed.key.bytes(), 0, plaintext, plaintext);
  sealed.name = ChunkName(Sha256Of(plaintext));
  return sealed;
}

uint32_t StoredLength(ByteSpan chunk) {
  CHECK(chunk.size() <= kChunkSize && chunk.size() % kPageSize == 0);
  size_t length = chunk.size();
  while (length > 0 && IsZero(chunk.subspan(length - kPageSize, kPageSize))) {
    length -= kPageSize;
  }
  return static_cast<uint32_t>(length);
}

}  // namespace morsel
