// SPDX-License-Identifier: Apache-2.0
#include "cache/key.h"

#include "base/check.h"
#include "crypto/hash.h"

namespace morsel {

CacheKey CacheKey::OfHash(ByteSpan hash) {
  CHECK(hash.size() >= 16);
  return {LoadLe<uint64_t>(hash.data()), LoadLe<uint64_t>(hash.data() + 8)};
}

CacheKey CacheKey::Of(std::string_view key) {
  return OfHash(Sha256Of(AsBytes(key)));
}

}  // namespace morsel
