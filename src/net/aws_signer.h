// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4 (docs.aws.amazon.com/IAM/latest/UserGuide/
// reference_sigv.html): proves who asks, when and what, without sending the
// secret.
//
// Ours rather than curl's, which in 7.88 neither sorts the query nor sends the
// body's hash.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "net/aws_credentials.h"
#include "net/http_client.h"

namespace morsel {

struct AwsService {
  std::string region;   // "us-east-1"
  std::string service;  // "s3", "kms"
};

// A request, before its parts are encoded.
struct AwsRequest {
  std::string method = "GET";
  std::string scheme = "https";
  std::string host;        // with ":port", if it is not the scheme's own
  std::string path = "/";  // plain, as is: S3 signs it encoded once
  std::vector<std::pair<std::string, std::string>> query;  // plain, any order
  HttpHeaders headers;  // "host", "x-amz-date" and the like are added
  ByteSpan body;
};

// The request to send: its URL encoded, and the headers of the signature
// added. S3 gets the body's hash as a header too, so that a body that was
// damaged on its way is refused.
HttpRequest SignAwsRequest(const AwsRequest& request, const AwsService& service,
                           const AwsCredentials& credentials,
                           int64_t unix_seconds);

}  // namespace morsel
