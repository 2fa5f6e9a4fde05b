// SPDX-License-Identifier: Apache-2.0
// Base64 (RFC 4648, with padding), as JSON protocols carry bytes.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

std::string ToBase64(ByteSpan bytes);
// kInvalid for anything but the one form that ToBase64 gives.
Result<Bytes> FromBase64(std::string_view text);

}  // namespace morsel
