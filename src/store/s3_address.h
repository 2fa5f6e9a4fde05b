// SPDX-License-Identifier: Apache-2.0
// Where an S3 origin lies, as one line of text, so that it can be handed from
// program to program:
//
//   s3://BUCKET[/PREFIX][?endpoint=URL&region=R&style=path&...]
//
// It holds no secret: credentials come from net/aws_credentials.h.
//
// Thread safety: values and free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/config.h"
#include "base/result.h"

namespace morsel {

struct S3Address {
  std::string bucket;
  std::string prefix;   // without slashes at its ends; may be empty
  std::string scheme;   // "http", "https"
  std::string host;     // "s3.us-east-1.amazonaws.com", "127.0.0.1:7480"
  std::string region;   // "us-east-1"
  bool path_style;      // HOST/BUCKET/KEY, else BUCKET.HOST/KEY
  std::string ca_file;  // "": the system's CAs
  std::string profile;  // "": as net/aws_credentials.h
  double timeout_seconds = 30;           // of one request
  size_t connections = 64;               // at most
  uint64_t multipart_bytes = 64 * kMiB;  // longer puts go in parts of this
};

// kInvalid says which part is wrong and what it should be.
Result<S3Address> ParseS3Address(std::string_view text);

// `origin` of the settings with the settings `s3.*` as its options, for a
// store in S3; what the origin says itself is kept. Other origins stay.
std::string OriginAddress(const Config& config);

}  // namespace morsel
