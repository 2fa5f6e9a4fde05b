// SPDX-License-Identifier: Apache-2.0
// An image as a read-only BlockDevice: its manifest says which chunk lies
// where and with which key, a ChunkSource brings the ciphertext.
//
// What the manifest does not list is a hole, and a chunk ends at its stored
// length: both read as zeros. Just the bytes asked for are decrypted (AES-CTR
// seeks; paper.md §2), from the source's memory straight into the reply.
//
// Thread safety: as BlockDevice.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "block/block_device.h"
#include "block/startup_recorder.h"
#include "chunk/chunk_source.h"
#include "manifest/manifest.h"

namespace morsel {

struct ImageDeviceOptions {
  std::string root;  // where the origin keeps the chunks now
  // How long a read waits for one chunk.
  std::chrono::nanoseconds io_timeout = std::chrono::seconds(60);
  // Hears of each chunk that is read; outlives the device. Null: nobody does.
  StartupRecorder* recorder = nullptr;
};

// `source` and `clock` must outlive the device. A read fails with kCorrupt if
// every copy of a chunk is damaged, or it is missing, at once; with
// kUnavailable or kTimeout if no tier answered within io_timeout. The message
// names the chunk. Writes, discards and zeroing are kDenied.
std::unique_ptr<BlockDevice> MakeImageDevice(OpenManifest manifest,
                                             ChunkSource& source, Clock& clock,
                                             const ImageDeviceOptions& options);

}  // namespace morsel
