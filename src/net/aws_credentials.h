// SPDX-License-Identifier: Apache-2.0
// Where AWS credentials come from, in the order of AWS's own tools:
//
//   1. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   2. the shared files ~/.aws/credentials and ~/.aws/config (or
//      AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE), profile `profile`,
//      AWS_PROFILE or "default"
//   3. the container's endpoint (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or
//      _FULL_URI, with AWS_CONTAINER_AUTHORIZATION_TOKEN[_FILE])
//   4. the instance's metadata (IMDSv2), unless AWS_EC2_METADATA_DISABLED
//
// A profile that was asked for by name is the only place that is then looked
// at. Those of 3 and 4 expire, and are fetched anew kRefreshSeconds before: by
// one thread, while the others go on with what they have.
//
// The secret lies in locked memory (crypto/secret_text.h), and what it was read
// from is wiped, but the environment and the answers of 3 and 4: those are the
// system's, and in memory that goes to no core file of ours (base/confine.h).
//
// Thread safety: thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "crypto/secret_text.h"

namespace morsel {

inline constexpr int64_t kRefreshSeconds = 300;

struct AwsCredentials {
  std::string access_key_id;
  SecretText secret_access_key;
  std::string
      session_token;  // goes with each request; empty for permanent keys
  int64_t expires_unix_seconds = 0;  // 0: never
  std::string source;                // for messages: "the environment"
};

class AwsCredentialSource {
 public:
  virtual ~AwsCredentialSource() = default;

  // kDenied: none anywhere, says where was looked; kInvalid: a file is
  // malformed, says where; kUnavailable, kTimeout: the metadata endpoint.
  virtual Result<AwsCredentials> Get() = 0;
  // The service called these expired or unknown: the next Get looks anew.
  virtual void Reject(const AwsCredentials& credentials) = 0;
};

struct AwsCredentialOptions {
  std::string profile;
  // An environment variable's value; by default of this process.
  std::function<std::optional<std::string>(const std::string&)> environment;
  Clock* clock = nullptr;  // SystemClock()
};

std::unique_ptr<AwsCredentialSource> MakeAwsCredentialSource(
    AwsCredentialOptions options);

// `region`, or if that is empty AWS_REGION, AWS_DEFAULT_REGION, "us-east-1".
std::string AwsRegion(const std::string& region);

// The section of an ini file in AWS's form as one credential set; no value if
// it has no such section. `where` names the file in errors. kInvalid.
Result<std::optional<AwsCredentials>> ParseAwsProfile(std::string_view text,
                                                      std::string_view section,
                                                      const std::string& where);
// The JSON of the container's endpoint and of the instance's metadata.
Result<AwsCredentials> ParseAwsCredentialJson(std::string_view text,
                                              const std::string& where);

}  // namespace morsel
