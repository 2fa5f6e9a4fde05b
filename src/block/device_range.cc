// SPDX-License-Identifier: Apache-2.0
#include "block/device_range.h"

namespace morsel {

Status CheckRange(uint64_t size, uint64_t offset, uint64_t length) {
  if (offset <= size && length <= size - offset) return Ok();
  return MakeError(Code::kInvalid, "bytes " + std::to_string(offset) + " + " +
                                       std::to_string(length) +
                                       " lie outside of a device of " +
                                       std::to_string(size) + " bytes");
}

}  // namespace morsel
