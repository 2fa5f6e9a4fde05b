// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of AWS credentials, as the JSON of a metadata endpoint,
// as the address of an S3 origin, as base64, and as a date.
#include "base/base64.h"
#include "base/check.h"
#include "net/aws_credentials.h"
#include "net/http_client.h"
#include "store/s3_address.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace morsel;
  const std::string text(AsText(std::as_bytes(std::span(data, size))));
  const auto profile = ParseAwsProfile(text, "default", "file");
  if (profile.ok() && profile->has_value())
    CHECK(!(*profile)->access_key_id.empty() &&
          !(*profile)->secret_access_key.empty());
  const auto json = ParseAwsCredentialJson(text, "endpoint");
  CHECK(!json.ok() || json->expires_unix_seconds != 0);
  const Result<S3Address> address = ParseS3Address(text);
  if (address.ok())
    CHECK(!address->bucket.empty() && !address->host.empty() &&
          address->timeout_seconds > 0 && address->connections > 0);
  const Result<Bytes> bytes = FromBase64(text);
  if (bytes.ok()) CHECK(ToBase64(*bytes) == text);
  static_cast<void>(ParseHttpDate(text));
  return 0;
}
