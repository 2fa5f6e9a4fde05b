// SPDX-License-Identifier: Apache-2.0
// A file as a BlockDevice: for plain disks, tests and benchmarks.
//
// Thread safety: as BlockDevice.
#pragma once

#include <memory>

#include "base/fd.h"
#include "block/block_device.h"

namespace morsel {

// `file` is open for reading and writing; its size is the device's. kInvalid
// if that is no multiple of 4096. Flush is fdatasync; Discard and Zero punch a
// hole.
Result<std::unique_ptr<BlockDevice>> MakeFileDevice(Fd file);

}  // namespace morsel
