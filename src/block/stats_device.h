// SPDX-License-Identifier: Apache-2.0
// A decorator that counts what passes through it.
//
// Thread safety: as BlockDevice.
#pragma once

#include <memory>

#include "block/block_device.h"
#include "block/device_stats.h"

namespace morsel {

// Counts into `page`, which must outlive the device: reads, writes (discards
// and zeroing too, as writes of no bytes), and errors of every call.
std::unique_ptr<BlockDevice> MakeStatsDevice(std::unique_ptr<BlockDevice> next,
                                             DeviceStatsPage& page);

}  // namespace morsel
