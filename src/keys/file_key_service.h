// SPDX-License-Identifier: Apache-2.0
// The key service of a machine of one's own: keys in a file that only its
// owner can read. The embedded default.
//
// The file is text, one key a line, `morsel-key-1 <64 hexadecimal digits>`;
// empty lines and lines that begin with # are ignored. The last key wraps, all
// of them unwrap, so a key is rotated by adding a line. A key's id is the
// first 16 digits of SHA-256("morsel-key-id-1" || key): no secret.
//
// A wrapping is AES-256-GCM under the key with a random nonce, and
// "morsel-wrap-1" || context as additional data:
// nonce (12) || ciphertext (32) || tag (16).
//
// Thread safety: thread-safe; the file is read once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "keys/key_service.h"

namespace morsel {

class FileKeyService {
 public:
  // kDenied if it is missing (says how to make one) or others than its owner
  // may read it, or its owner is neither root nor the caller; kInvalid names
  // the line that is no key.
  static Result<std::unique_ptr<KeyService>> Open(const std::string& path);
  // Makes `path` (0600) with one new key, whole or not at all. kExists.
  static Status Create(const std::string& path, Random& random);
  // Adds a new key, whole or not at all: from the next opening on it wraps.
  // Gives its id. Errors as Open.
  static Result<std::string> Add(const std::string& path, Random& random);
  // The ids of the keys in the file; the last one wraps. Errors as Open.
  static Result<std::vector<std::string>> List(const std::string& path);
};

}  // namespace morsel
