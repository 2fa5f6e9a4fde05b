// SPDX-License-Identifier: Apache-2.0
// Sealing: convergent encryption of one chunk (paper.md §2).
//
//   key        = HMAC-SHA256(salt, "morsel-chunk-key-1" || root id ||
//                            SHA-256(stored plaintext))
//   ciphertext = AES-256-CTR(key, IV 0, stored plaintext)
//   name       = SHA-256(ciphertext)
//
// Rule: the bytes that are encrypted are exactly the bytes that were hashed
// for the key; else two plaintexts would share a key stream.
//
// Thread safety: free functions.
#pragma once

#include <string_view>

#include "base/bytes.h"
#include "chunk/name.h"
#include "crypto/secret.h"

namespace morsel {

struct SealedChunk {
  ChunkName name;
  SecretKey key;
};

// The salt number `variant` of a root for chunks that are popular
// (origin/popular.h): HMAC-SHA256(salt, "morsel-salt-variant-1" || variant as
// 32 bits, little endian).
SecretKey VariantSalt(const SecretKey& salt, uint32_t variant);

// Encrypts `plaintext` in place. Requires: whole pages, 1 to kPagesPerChunk.
SealedChunk SealChunk(const SecretKey& salt, std::string_view root_id,
                      MutableByteSpan plaintext);

// Seals anew, with another salt, what SealChunk has made of a plaintext.
SealedChunk ResealChunk(const SealedChunk& sealed, const SecretKey& salt,
                        std::string_view root_id, MutableByteSpan ciphertext);

// The stored length of a chunk: up to its last page that is not zero, 0 if
// there is none. Requires: whole pages.
uint32_t StoredLength(ByteSpan chunk);

}  // namespace morsel
