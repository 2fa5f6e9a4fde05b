// SPDX-License-Identifier: Apache-2.0
// A decorator that fails some calls, to see how everything above bears it.
//
// Thread safety: as BlockDevice.
#pragma once

#include <memory>

#include "block/block_device.h"

namespace morsel {

struct FaultOptions {
  uint64_t seed = 1;
  // Of a million calls of each kind, how many fail.
  uint32_t read_faults_per_million = 0;
  uint32_t write_faults_per_million = 0;  // write, discard and zero
  uint32_t flush_faults_per_million = 0;
  Code code = Code::kIo;
};

// The same seed and the same order of calls fail at the same calls. A call
// that fails does nothing to `next`.
std::unique_ptr<BlockDevice> MakeFaultDevice(std::unique_ptr<BlockDevice> next,
                                             const FaultOptions& options);

}  // namespace morsel
