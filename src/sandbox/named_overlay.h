// SPDX-License-Identifier: Apache-2.0
// Named overlays: what a device writes, kept for the next time
// (docs/ARCHITECTURE.md, The write path).
//
// STATE_DIR/overlays/<name>/ (0700) holds the agent's files and
//
//   meta.json  {"manifest_id", "key": {"key_id", "blob_hex"}}
//   lock       locked (flock) for as long as a device uses the overlay
//
// The key that is wrapped, under the context "overlay:<name>", is 32 bytes;
// the two halves of the XTS key are HMACs of it.
//
// Thread safety: the functions may run at once, also in several processes.
#pragma once

#include <string>

#include "base/config.h"
#include "base/fd.h"
#include "base/result.h"
#include "crypto/secret.h"
#include "keys/key_service.h"

namespace morsel {

struct NamedOverlay {
  std::string dir;
  SecretBuffer key;  // kXtsKeySize bytes
  Fd lock;           // the overlay is taken while this, or a copy, is open
  bool is_new = false;
};

// Takes the overlay, and makes it if there is none. kInvalid: the name is not
// made of letters, digits, '.', '_' and '-', or the overlay belongs to another
// image's manifest; kExists: a device uses it; kDenied, kCorrupt of the key
// service; kIo.
Result<NamedOverlay> TakeNamedOverlay(const Config& config,
                                      const std::string& name,
                                      const std::string& manifest_id,
                                      KeyService& keys);

// Wraps anew, by the present key, the overlay keys of this machine that older
// keys of `keys` wrapped; in use or not. How many. Those of other keys stay.
Result<uint64_t> RotateOverlayKeys(const Config& config, KeyService& keys);

std::string OverlaysDir(const Config& config);

}  // namespace morsel
