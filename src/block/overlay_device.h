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
// A failed flush is final: the kernel says once what it could not write, and
// forgets it, so no later flush of the device may say that all is well, also
// not one of a process that came after (OverlayOptions::flush_state). Who
// attaches the overlay anew begins with what is there, as with any disk.
//
// Thread safety: as BlockDevice.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "block/block_device.h"
#include "crypto/secret.h"

namespace morsel {

// What must be known of flushes after the death of the process that made them.
enum OverlayFlush : uint32_t {
  kNoFlush = 0,
  kFlushUnderWay = 1,  // whoever finds it so does not know how it ended
  kFlushFailed = 2,
};

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
  // If durable. An OverlayFlush in memory that outlives the process, 0 at
  // first; none: a failure is remembered as long as the device.
  std::atomic<uint32_t>* flush_state = nullptr;
  // If durable. The data file, opened once more (no duplicate): of a lost write
  // the kernel tells each who has it open once, so this one hears still what
  // `data` was told in a flush whose process was killed. None: not asked.
  Fd witness;
};

// `image` must outlive it. kInvalid, kCorrupt, kExhausted: see
// OverlayMap::Open.
Result<std::unique_ptr<BlockDevice>> OpenOverlayDevice(BlockDevice& image,
                                                       OverlayOptions options);

}  // namespace morsel
