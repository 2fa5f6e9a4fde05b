// SPDX-License-Identifier: Apache-2.0
// The check that every BlockDevice makes first.
//
// Thread safety: a free function.
#pragma once

#include "block/block_device.h"

namespace morsel {

// kInvalid, with the numbers, unless [offset, offset + length) lies within
// `size`. A caller that gets it has a bug or a hostile peer: it tells the peer.
Status CheckRange(uint64_t size, uint64_t offset, uint64_t length);

}  // namespace morsel
