// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.h"

#include <isa-l/crc.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace morsel {
namespace {

// ISA-L takes lengths as int.
constexpr size_t kCrcStepBytes = size_t{1} << 30;

struct DigestContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestContextFree>;

struct MacContextFree {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, MacContextFree>;

// Fetched once and kept for the life of the process: a fetch takes locks and
// may open files.
const EVP_MD* Sha256Algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(algorithm != nullptr);
  return algorithm;
}

EVP_MAC* HmacAlgorithm() {
  static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  CHECK(algorithm != nullptr);
  return algorithm;
}

DigestContext NewDigestContext() {
  DigestContext context(EVP_MD_CTX_new());
  CHECK(context != nullptr);
  return context;
}

MacContext NewHmacContext() {
  MacContext context(EVP_MAC_CTX_new(HmacAlgorithm()));
  CHECK(context != nullptr);
  char digest_name[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name, 0),
      OSSL_PARAM_construct_end()};
  CHECK(EVP_MAC_CTX_set_params(context.get(), parameters) == 1);
  return context;
}

void Begin(EVP_MD_CTX* context) {
  CHECK(EVP_DigestInit_ex2(context, Sha256Algorithm(), nullptr) == 1);
}

void Add(EVP_MD_CTX* context, ByteSpan bytes) {
  CHECK(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1);
}

Digest End(EVP_MD_CTX* context) {
  Digest digest;
  unsigned int size = 0;
  CHECK(EVP_DigestFinal_ex(context,
                           reinterpret_cast<unsigned char*>(digest.data()),
                           &size) == 1);
  CHECK(size == kDigestSize);
  return digest;
}

}  // namespace

Digest Sha256Of(ByteSpan bytes) {
  thread_local const DigestContext context = NewDigestContext();
  Begin(context.get());
  Add(context.get(), bytes);
  return End(context.get());
}

Digest HmacSha256(ByteSpan key, std::initializer_list<ByteSpan> parts) {
  thread_local const MacContext context = NewHmacContext();
  // A null key would mean "the same key as before" to OpenSSL.
  static constexpr unsigned char kNoByte = 0;
  const unsigned char* key_data =
      key.empty() ? &kNoByte
                  : reinterpret_cast<const unsigned char*>(key.data());
  CHECK(EVP_MAC_init(context.get(), key_data, key.size(), nullptr) == 1);
  for (ByteSpan part : parts) {
    CHECK(EVP_MAC_update(context.get(),
                         reinterpret_cast<const unsigned char*>(part.data()),
                         part.size()) == 1);
  }
  Digest digest;
  size_t size = 0;
  CHECK(EVP_MAC_final(context.get(),
                      reinterpret_cast<unsigned char*>(digest.data()), &size,
                      digest.size()) == 1);
  CHECK(size == kDigestSize);
  return digest;
}

uint32_t Crc32c(ByteSpan bytes) {
  uint32_t crc = 0xffffffff;
  while (!bytes.empty()) {
    const ByteSpan step = bytes.first(std::min(bytes.size(), kCrcStepBytes));
    // ISA-L reads only; its signature lacks the const.
    auto* data =
        reinterpret_cast<unsigned char*>(const_cast<std::byte*>(step.data()));
    crc = crc32_iscsi(data, static_cast<int>(step.size()), crc);
    bytes = bytes.subspan(step.size());
  }
  return crc ^ 0xffffffff;
}

struct Sha256::Context {
  DigestContext digest = NewDigestContext();
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  Begin(context_->digest.get());
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(ByteSpan bytes) { Add(context_->digest.get(), bytes); }

Digest Sha256::Finish() { return End(context_->digest.get()); }

}  // namespace morsel
