// SPDX-License-Identifier: Apache-2.0
#include "cache/shared_bytes.h"

namespace morsel {

SharedBytes SharedBytes::Own(Bytes bytes) {
  const auto owner = std::make_shared<const Bytes>(std::move(bytes));
  const ByteSpan span(*owner);
  return {owner, span};
}

SharedBytes SharedBytes::Copy(ByteSpan bytes) { return Own(CopyBytes(bytes)); }

}  // namespace morsel
