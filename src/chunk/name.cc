// SPDX-License-Identifier: Apache-2.0
#include "chunk/name.h"

namespace morsel {

Result<ChunkName> ChunkName::Parse(std::string_view text) {
  Digest digest;
  RETURN_IF_ERROR_AS(ParseHex(text, digest), "chunk name");
  return ChunkName(digest);
}

}  // namespace morsel
