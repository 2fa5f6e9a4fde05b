// SPDX-License-Identifier: Apache-2.0
// CacheValue: what every tier of cache/ keeps under a key. The three numbers
// are room for the caller (a memcached item's, say); the tiers keep them with
// the bytes and look at `expires_unix` alone.
//
// Thread safety: values.
#pragma once

#include <cstdint>
#include <string_view>

#include "cache/shared_bytes.h"

namespace morsel {

inline constexpr size_t kMaxCacheKeyBytes = 250;
// A value of 1 MiB with room for a caller's header.
inline constexpr size_t kMaxCacheValueBytes = 1024 * 1024 + 4096;

struct CacheValue {
  SharedBytes bytes;
  uint32_t flags = 0;
  uint64_t cas = 0;
  // Seconds since 1970 from which on it is as good as not there; 0: never.
  int64_t expires_unix = 0;

  bool ExpiredAt(int64_t unix_seconds) const {
    return expires_unix != 0 && unix_seconds >= expires_unix;
  }
};

// kInvalid, if a tier would not take it: an empty key, or one or a value that
// is too long.
Status CheckCacheEntry(std::string_view key, size_t value_bytes);

}  // namespace morsel
