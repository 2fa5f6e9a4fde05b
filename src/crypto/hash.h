// SPDX-License-Identifier: Apache-2.0
// SHA-256, HMAC-SHA-256 (OpenSSL) and CRC32C (ISA-L).
//
// Thread safety: free functions; a Sha256 is owned by one thread.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "base/bytes.h"

namespace morsel {

inline constexpr size_t kDigestSize = 32;
using Digest = std::array<std::byte, kDigestSize>;

Digest Sha256Of(ByteSpan bytes);
// HMAC-SHA-256 (RFC 2104) over the concatenation of `parts`.
Digest HmacSha256(ByteSpan key, std::initializer_list<ByteSpan> parts);
// CRC32C (Castagnoli, as in RFC 3720), of `bytes`.
uint32_t Crc32c(ByteSpan bytes);

// SHA-256 of a stream.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(ByteSpan bytes);
  // The digest of all that was given. Call once.
  Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace morsel
