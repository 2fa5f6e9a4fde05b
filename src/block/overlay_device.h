// SPDX-License-Identifier: Apache-2.0
// Copy-on-write over another BlockDevice: what is written lies in a sparse
// file, encrypted; a map says for each 4 KiB page whether it is the image's,
// written or zero (block/overlay_map.h).
//
// Pages are encrypted with AES-256-XTS, the page number as the tweak:
// confidential as dm-crypt is, not authenticated. A write puts the page down
// first and then the map; a discard changes the map first and then gives the
// space back. So a kill at any moment leaves each page old or new, and loses
// nothing that was acknowledged.
//
// Durable (a named overlay): after Flush the data and the map survive a power
// cut too. What was written or discarded since is then old, new, or for a
// discarded page undefined, as on any disk. Not durable (an ephemeral one):
// Flush does nothing, as nothing could read it after a reboot.
//
// Thread safety: as BlockDevice.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "block/block_device.h"
#include "crypto/secret.h"

namespace morsel {

struct OverlayOptions {
  // Both open for reading and writing, and empty or of the same overlay.
  Fd data;
  Fd map;
  SecretBuffer key;         // kXtsKeySize bytes
  std::string manifest_id;  // an overlay of another manifest is refused
  // The most that the data may take on disk; beyond it writes are kExhausted.
  uint64_t max_bytes = 0;
  bool durable = false;
  std::string boot_id;  // as in OverlayMapOptions
};

// `image` must outlive it. kInvalid, kCorrupt, kExhausted: see
// OverlayMap::Open.
Result<std::unique_ptr<BlockDevice>> OpenOverlayDevice(BlockDevice& image,
                                                       OverlayOptions options);

}  // namespace morsel
