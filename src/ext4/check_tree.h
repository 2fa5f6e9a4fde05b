// SPDX-License-Identifier: Apache-2.0
// Whether a tree keeps its own promises and can be an ext4 at all.
//
// Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "ext4/tree.h"

namespace morsel {

// kInvalid: the first thing wrong, with the path where it is.
Status CheckTree(const Tree& tree);

// "/usr/bin/env", where the layer that made it put it; for messages.
std::string PathOf(const Tree& tree, uint32_t node);

}  // namespace morsel
