// SPDX-License-Identifier: Apache-2.0
// A read-only BlockDevice of zeros: the base of an overlay without an image,
// and the floor of benchmarks.
//
// Thread safety: as BlockDevice.
#pragma once

#include <memory>

#include "block/block_device.h"

namespace morsel {

// `size` in bytes, a multiple of 4096. Writes, discards and zeroing are
// kDenied.
std::unique_ptr<BlockDevice> MakeZeroDevice(uint64_t size);

}  // namespace morsel
