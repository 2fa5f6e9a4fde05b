// SPDX-License-Identifier: Apache-2.0
// Finds the files that a layer wrote again with the bytes that they had: by
// chown or chmod, or by the upgrade of a package of which most files stay.
//
// Only their inodes change then: they lie where they lay, whose place is free,
// and the chunks there stay as the images without that layer have them.
//
// Thread safety: used by one thread.
#pragma once

#include "base/result.h"
#include "ext4/order.h"
#include "ext4/tree.h"

namespace morsel {

// Sets order.unchanged: compares each regular file with the hidden one before
// it, if both have the same extents. Reads both, 256 KiB at a time. Errors:
// those of DataSource::Read.
Status FindUnchanged(const Tree& tree, DataSource& source, PathOrder& order);

}  // namespace morsel
