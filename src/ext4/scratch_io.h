// SPDX-License-Identifier: Apache-2.0
// The io_manager through which libext2fs reads and writes a Scratch.
//
// Thread safety: as Scratch's.
#pragma once

#include <ext2fs/ext2fs.h>

#include <string>

#include "ext4/scratch.h"

namespace morsel {

// One table of functions for all; it keeps no state.
io_manager ScratchIoManager();

// The name under which the io_manager opens `scratch`: a name is all that
// libext2fs hands on, so it spells the address. `scratch` must outlive the
// ext2_filsys that is opened by it.
std::string ScratchIoName(Scratch& scratch);

}  // namespace morsel
