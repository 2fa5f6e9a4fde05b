// SPDX-License-Identifier: Apache-2.0
// Sizes and names of chunks.
//
// An image is cut in chunks of 512 KiB; what is stored of a chunk ends at its
// last page of 4 KiB that is not zero. A chunk's name is the SHA-256 of its
// ciphertext as stored (paper.md §2), so anyone can check it without a key.
//
// Thread safety: values.
#pragma once

#include <compare>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/hash.h"

namespace morsel {

inline constexpr uint32_t kPageSize = 4096;
inline constexpr uint32_t kChunkSize = 512 * 1024;
inline constexpr uint32_t kPagesPerChunk = kChunkSize / kPageSize;

class ChunkName {
 public:
  ChunkName() = default;
  explicit ChunkName(const Digest& digest) : digest_(digest) {}
  // kInvalid unless 64 lower-case hexadecimal digits.
  static Result<ChunkName> Parse(std::string_view text);

  const Digest& digest() const { return digest_; }
  std::string ToString() const { return ToHex(digest_); }
  // The first 12 digits, for messages.
  std::string Short() const { return ToString().substr(0, 12); }
  bool Matches(ByteSpan ciphertext) const {
    return Sha256Of(ciphertext) == digest_;
  }

  bool operator==(const ChunkName&) const = default;
  auto operator<=>(const ChunkName&) const = default;

 private:
  Digest digest_{};
};

}  // namespace morsel

// The name is a hash already: its first bytes serve.
template <>
struct std::hash<morsel::ChunkName> {
  size_t operator()(const morsel::ChunkName& name) const noexcept {
    size_t value;
    std::memcpy(&value, name.digest().data(), sizeof(value));
    return value;
  }
};
