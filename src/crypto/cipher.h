// SPDX-License-Identifier: Apache-2.0
// AES-256 in the three modes that Morsel uses, by OpenSSL.
//
//   CTR  chunks: IV 0, one key per plaintext (paper.md §2); seeks.
//   XTS  overlay pages: confidential as dm-crypt is, not authenticated.
//   GCM  the sealed part of a manifest, and wrapped keys (AEAD).
//
// Thread safety: free functions are thread-safe; contexts are kept per thread
// inside, so that no call allocates. Call WarmUpCiphers before a seccomp
// filter is put in place.
#pragma once

#include <array>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/secret.h"

namespace morsel {

// XORs `in` with the AES-256-CTR key stream of (key, IV 0) that begins at
// byte `stream_offset`, into `out`. Requires: equal sizes; either the same
// memory or apart. Encrypts and decrypts.
void AesCtrXor(ByteSpan key, uint64_t stream_offset, ByteSpan in,
               MutableByteSpan out);

// The same in several steps, which continue the stream. One at a time in a
// thread, and no AesCtrXor meanwhile: it lives in the thread's own context.
class AesCtrStream {
 public:
  AesCtrStream(ByteSpan key, uint64_t stream_offset);
  void Xor(ByteSpan in, MutableByteSpan out);
};

// AES-256-XTS of whole 4 KiB pages with a 64-byte key; the tweak of a page is
// its number, little endian. Requires: sizes that are multiples of 4096; key
// halves that differ (NIST SP 800-38E), as those of any random key do.
inline constexpr size_t kXtsKeySize = 64;
void AesXtsEncrypt(ByteSpan key, uint64_t first_page, ByteSpan in,
                   MutableByteSpan out);
void AesXtsDecrypt(ByteSpan key, uint64_t first_page, ByteSpan in,
                   MutableByteSpan out);

inline constexpr size_t kGcmNonceSize = 12;
inline constexpr size_t kGcmTagSize = 16;
using GcmNonce = std::array<std::byte, kGcmNonceSize>;

// Ciphertext followed by the tag. A (key, nonce) pair is used once.
Bytes AesGcmSeal(const SecretKey& key, const GcmNonce& nonce,
                 ByteSpan additional, ByteSpan plaintext);
// Opens what AesGcmSeal made into `plaintext` (sealed.size() - kGcmTagSize
// bytes). kCorrupt if it does not authenticate; `plaintext` is then wiped.
Status AesGcmOpen(const SecretKey& key, const GcmNonce& nonce,
                  ByteSpan additional, ByteSpan sealed,
                  MutableByteSpan plaintext);

// Fetches every algorithm and makes this thread's contexts.
void WarmUpCiphers();

}  // namespace morsel
