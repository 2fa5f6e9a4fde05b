// SPDX-License-Identifier: Apache-2.0
#include "chunk/seal.h"

#include <array>

#include "base/check.h"
#include "crypto/cipher.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr std::string_view kKeyLabel = "morsel-chunk-key-1";
constexpr std::string_view kVariantLabel = "morsel-salt-variant-1";

}  // namespace

SecretKey VariantSalt(const SecretKey& salt, uint32_t variant) {
  std::array<std::byte, sizeof(variant)> number;
  StoreLe<uint32_t>(number.data(), variant);
  Digest derived = HmacSha256(salt.bytes(), {AsBytes(kVariantLabel), number});
  SecretKey key{derived};
  Wipe(derived);
  return key;
}

SealedChunk ResealChunk(const SealedChunk& sealed, const SecretKey& salt,
                        std::string_view root_id, MutableByteSpan ciphertext) {
  AesCtrXor(sealed.key.bytes(), 0, ciphertext, ciphertext);
  return SealChunk(salt, root_id, ciphertext);
}

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
