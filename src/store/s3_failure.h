// SPDX-License-Identifier: Apache-2.0
// What an answer of S3 means that is no success: whose fault it is, in words
// that say what to do next, and whether to ask again.
//
// Thread safety: free functions.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "net/http_client.h"
#include "store/s3_address.h"

namespace morsel {

struct S3Failure {
  Error error;
  bool again = false;                 // it may pass by itself
  bool credentials = false;           // look for new credentials before
  std::chrono::milliseconds wait{0};  // what the service asked for
};

// `what` names the call and its object: "get s3://b/k". `unix_seconds` is this
// machine's clock, for telling how wrong it is.
S3Failure JudgeS3Answer(const HttpAnswer& answer, const S3Address& address,
                        const std::string& what, int64_t unix_seconds);
S3Failure JudgeS3Silence(Error error, const std::string& what);

}  // namespace morsel
