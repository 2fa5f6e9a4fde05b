// SPDX-License-Identifier: Apache-2.0
// The copy-on-write overlay: what is written over a read-only BlockDevice, in
// a sparse file on the worker's disk (paper.md §5, docs/formats.md "Overlay").
//
// A map of two bits a page says whether a page is in the image below, in the
// data file (at the device's own offset, AES-256-XTS), or discarded: then it
// reads as zeros, not as the image. A write goes to the data file, then to the
// map; a discard to the map, then a hole is punched. So a kill at any moment
// loses nothing that was acknowledged.
//
// Flush: an ephemeral overlay (durable: false) has a key that dies with the
// device, so nothing could read it after a reboot and Flush need not reach the
// disk; a durable one syncs the data, then the map. After a power cut a page
// that was written since the last Flush may hold anything, as on a disk.
//
// Thread safety: as BlockDevice. A lock for each of 256 groups of pages (1 MiB
// each, by number modulo 256) is held while pages of the group are read from or
// written to the local file, never while the image below is read, which may
// wait for the network. Reads of pages that were never written take no lock.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "block/block_device.h"
#include "crypto/secret.h"

namespace morsel {

struct OverlayOptions {
  Fd data;           // a sparse file, empty for a new overlay
  Fd map;            // likewise
  SecretBuffer key;  // kXtsKeySize bytes
  std::string manifest_id;
  uint64_t max_bytes = 0;  // of pages in the data file; beyond: kExhausted
  bool durable = false;
};

// `image` must outlive it. kInvalid: the overlay belongs to another image;
// kCorrupt: its map is damaged; kExhausted: no room for the map; kIo.
Result<std::unique_ptr<BlockDevice>> OpenOverlayDevice(BlockDevice& image,
                                                       OverlayOptions options);

}  // namespace morsel
