// SPDX-License-Identifier: Apache-2.0
// KeyService: wraps data keys under a key that never leaves the service
// (paper.md §2; design: docs/ARCHITECTURE.md, Keys). Providers: `file`
// (keys/file_key_service.h), the embedded default, and `aws-kms`
// (keys/kms_key_service.h).
//
// A wrapping is bound to a context: unwrapping with another context fails, so
// that what is wrapped for one image cannot stand in another's place.
//
// Thread safety: implementations are thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/secret.h"

namespace morsel {

struct WrappedKey {
  std::string key_id;    // which key of the service wrapped it
  std::string blob_hex;  // opaque to everyone else
};

struct GeneratedKey {
  SecretKey key;
  WrappedKey wrapped;
};

class KeyService {
 public:
  virtual ~KeyService() = default;

  // The id under which new wrappings are made: hexadecimal, no secret.
  virtual std::string KeyId() const = 0;
  // kDenied, kUnavailable.
  virtual Result<WrappedKey> Wrap(const SecretKey& data_key,
                                  std::string_view context) = 0;
  // A new data key, wrapped. Errors as Wrap.
  virtual Result<GeneratedKey> Generate(std::string_view context);
  // kDenied if the wrapping is of a key that this service does not hold;
  // kCorrupt if it fails under its own key (another context, or damage);
  // kUnavailable.
  virtual Result<SecretKey> Unwrap(const WrappedKey& wrapped,
                                   std::string_view context) = 0;
};

// A service that wraps as `first` does and unwraps what either can: for
// rotating from one to the other.
std::unique_ptr<KeyService> MakeKeyChain(std::unique_ptr<KeyService> first,
                                         std::unique_ptr<KeyService> second);

}  // namespace morsel
