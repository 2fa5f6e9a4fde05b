// SPDX-License-Identifier: Apache-2.0
#include "crypto/cipher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "base/check.h"
#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr size_t kAesBlockSize = 16;
constexpr size_t kXtsPageSize = 4096;
// EVP takes lengths as int; a multiple of the page and of the block.
constexpr size_t kStepBytes = size_t{1} << 30;

using Iv = std::array<unsigned char, kAesBlockSize>;

enum class Direction : int { kDecrypt = 0, kEncrypt = 1 };

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* context) const {
    EVP_CIPHER_CTX_free(context);
  }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

// Fetched once and kept for the life of the process: a fetch takes locks and
// may open files.
const EVP_CIPHER* Fetch(const char* name) {
  EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, name, nullptr);
  CHECK(cipher != nullptr);
  return cipher;
}
const EVP_CIPHER* CtrCipher() {
  static const EVP_CIPHER* const cipher = Fetch("AES-256-CTR");
  return cipher;
}
const EVP_CIPHER* XtsCipher() {
  static const EVP_CIPHER* const cipher = Fetch("AES-256-XTS");
  return cipher;
}
const EVP_CIPHER* GcmCipher() {
  static const EVP_CIPHER* const cipher = Fetch("AES-256-GCM");
  return cipher;
}

Context NewContext() {
  Context context(EVP_CIPHER_CTX_new());
  CHECK(context != nullptr);
  return context;
}

// One context a mode: changing the cipher of a context allocates.
struct ThreadContexts {
  Context ctr = NewContext();
  Context xts_encrypt = NewContext();
  Context xts_decrypt = NewContext();
  Context gcm = NewContext();
};
ThreadContexts& Contexts() {
  thread_local ThreadContexts contexts;
  return contexts;
}

const unsigned char* Raw(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
unsigned char* Raw(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

void Init(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher,
          const unsigned char* key, const unsigned char* iv,
          Direction direction) {
  CHECK(EVP_CipherInit_ex2(context, cipher, key, iv,
                           static_cast<int>(direction), nullptr) == 1);
}

// `out` may be null for additional data of an AEAD.
void Update(EVP_CIPHER_CTX* context, ByteSpan in, unsigned char* out) {
  while (!in.empty()) {
    const size_t step = std::min(in.size(), kStepBytes);
    int written = 0;
    CHECK(EVP_CipherUpdate(context, out, &written, Raw(in.data()),
                           static_cast<int>(step)) == 1);
    CHECK(static_cast<size_t>(written) == step);
    in = in.subspan(step);
    if (out != nullptr) out += step;
  }
}

Iv CtrIv(uint64_t block) {
  Iv iv{};
  for (size_t i = 0; i < sizeof(block); ++i) {
    iv[kAesBlockSize - 1 - i] = static_cast<unsigned char>(block >> (8 * i));
  }
  return iv;
}

Iv XtsTweak(uint64_t page) {
  Iv iv{};
  for (size_t i = 0; i < sizeof(page); ++i) {
    iv[i] = static_cast<unsigned char>(page >> (8 * i));
  }
  return iv;
}

void Xts(EVP_CIPHER_CTX* context, Direction direction, ByteSpan key,
         uint64_t first_page, ByteSpan in, MutableByteSpan out) {
  CHECK(key.size() == kXtsKeySize);
  CHECK(in.size() == out.size() && in.size() % kXtsPageSize == 0);
  Init(context, XtsCipher(), Raw(key.data()), nullptr, direction);
  for (size_t offset = 0; offset < in.size(); offset += kXtsPageSize) {
    const Iv iv = XtsTweak(first_page + offset / kXtsPageSize);
    Init(context, nullptr, nullptr, iv.data(), direction);
    Update(context, in.subspan(offset, kXtsPageSize), Raw(&out[offset]));
  }
}

void BeginGcm(EVP_CIPHER_CTX* context, Direction direction,
              const SecretKey& key, const GcmNonce& nonce,
              ByteSpan additional) {
  Init(context, GcmCipher(), Raw(key.bytes().data()), Raw(nonce.data()),
       direction);
  Update(context, additional, nullptr);
}

// The end of a GCM message: on decryption, whether it authenticates.
bool EndGcm(EVP_CIPHER_CTX* context) {
  unsigned char rest[kAesBlockSize];
  int written = 0;
  return EVP_CipherFinal_ex(context, rest, &written) == 1;
}

}  // namespace

AesCtrStream::AesCtrStream(ByteSpan key, uint64_t stream_offset) {
  CHECK(key.size() == kKeySize);
  EVP_CIPHER_CTX* const context = Contexts().ctr.get();
  const Iv iv = CtrIv(stream_offset / kAesBlockSize);
  Init(context, CtrCipher(), Raw(key.data()), iv.data(), Direction::kEncrypt);
  // The stream begins on a block; what lies before the offset is dropped.
  std::array<std::byte, kAesBlockSize> dropped{};
  const size_t skip = stream_offset % kAesBlockSize;
  Update(context, ByteSpan(dropped).first(skip), Raw(dropped.data()));
  Wipe(dropped);
}

void AesCtrStream::Xor(ByteSpan in, MutableByteSpan out) {
  CHECK(in.size() == out.size());
  Update(Contexts().ctr.get(), in, Raw(out.data()));
}

void AesCtrXor(ByteSpan key, uint64_t stream_offset, ByteSpan in,
               MutableByteSpan out) {
  AesCtrStream(key, stream_offset).Xor(in, out);
}

void AesXtsEncrypt(ByteSpan key, uint64_t first_page, ByteSpan in,
                   MutableByteSpan out) {
  Xts(Contexts().xts_encrypt.get(), Direction::kEncrypt, key, first_page, in,
      out);
}

void AesXtsDecrypt(ByteSpan key, uint64_t first_page, ByteSpan in,
                   MutableByteSpan out) {
  Xts(Contexts().xts_decrypt.get(), Direction::kDecrypt, key, first_page, in,
      out);
}

Bytes AesGcmSeal(const SecretKey& key, const GcmNonce& nonce,
                 ByteSpan additional, ByteSpan plaintext) {
  EVP_CIPHER_CTX* const context = Contexts().gcm.get();
  Bytes sealed(plaintext.size() + kGcmTagSize);
  BeginGcm(context, Direction::kEncrypt, key, nonce, additional);
  Update(context, plaintext, Raw(sealed.data()));
  CHECK(EndGcm(context));
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kGcmTagSize,
                            &sealed[plaintext.size()]) == 1);
  return sealed;
}

Status AesGcmOpen(const SecretKey& key, const GcmNonce& nonce,
                  ByteSpan additional, ByteSpan sealed,
                  MutableByteSpan plaintext) {
  if (sealed.size() < kGcmTagSize) {
    return MakeError(Code::kCorrupt, "sealed data is shorter than its tag");
  }
  CHECK(plaintext.size() == sealed.size() - kGcmTagSize);
  EVP_CIPHER_CTX* const context = Contexts().gcm.get();
  BeginGcm(context, Direction::kDecrypt, key, nonce, additional);
  Update(context, sealed.first(plaintext.size()), Raw(plaintext.data()));
  std::array<std::byte, kGcmTagSize> tag;
  std::ranges::copy(sealed.last(kGcmTagSize), tag.begin());
  CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kGcmTagSize,
                            tag.data()) == 1);
  if (!EndGcm(context)) {
    Wipe(plaintext);
    return MakeError(Code::kCorrupt,
                     "sealed data does not authenticate under its key");
  }
  return Ok();
}

void WarmUpCiphers() {
  // One real use of each: a first use may load, allocate and probe.
  std::array<std::byte, kXtsPageSize> page{};
  std::array<std::byte, kXtsKeySize> key{};
  key[0] = std::byte{1};  // XTS refuses two equal halves
  AesCtrXor(ByteSpan(key).first(kKeySize), 1, page, page);
  AesXtsEncrypt(key, 0, page, page);
  AesXtsDecrypt(key, 0, page, page);
  const SecretKey gcm_key(ByteSpan(key).first(kKeySize));
  const Bytes sealed = AesGcmSeal(gcm_key, GcmNonce{}, {}, page);
  CHECK(AesGcmOpen(gcm_key, GcmNonce{}, {}, sealed, page).ok());
  static_cast<void>(Sha256Of(page));
  static_cast<void>(HmacSha256(key, {page}));
  static_cast<void>(Crc32c(page));
}

}  // namespace morsel
