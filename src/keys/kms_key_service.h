// SPDX-License-Identifier: Apache-2.0
// The key service of AWS by its wire protocol (docs.aws.amazon.com/kms/latest/
// APIReference: GenerateDataKey, Encrypt, Decrypt), at any endpoint that
// speaks it. The key never leaves the service; who may use it, it decides.
//
// The context goes as the encryption context {"morsel": context}: the service
// authenticates it, logs it, and its policies can ask for it.
//
// A wrapping's key id is kKmsKeyPrefix and 16 digits of SHA-256(
// "morsel-kms-key-id-1" || region || ":" || the key as it was named): it is
// known without asking, and names no account. The blob says itself to the
// service which key it is of, so that after a change of key or alias old
// wrappings are still unwrapped by who has the right.
//
// Thread safety: thread-safe.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "keys/key_service.h"
#include "net/aws_credentials.h"
#include "net/http_client.h"
#include "net/retry.h"

namespace morsel {

inline constexpr std::string_view kKmsKeyPrefix = "4b4d53";  // "KMS"

struct KmsOptions {
  std::string key;  // id, ARN, "alias/NAME" or its ARN
  std::string region = "us-east-1";
  std::string endpoint;  // URL; "": Amazon's of the region
  std::string ca_file;
  std::string profile;
};

class KmsKeyService {
 public:
  struct Parts {
    std::unique_ptr<HttpClient> http;
    std::unique_ptr<AwsCredentialSource> credentials;
    RetryBudget& retries;
    Clock& clock;
  };

  // Sends nothing. kInvalid: no key, or no URL. Later errors beyond
  // KeyService's: kDenied, also if the key is disabled or gone, says which.
  static Result<std::unique_ptr<KeyService>> Open(const KmsOptions& options);
  static Result<std::unique_ptr<KeyService>> Open(const KmsOptions& options,
                                                  Parts parts);
};

}  // namespace morsel
