// SPDX-License-Identifier: Apache-2.0
// The XML that S3 speaks: the few documents that a store needs, by pugixml.
//
// What comes from the service is checked before it is used: kCorrupt says
// which document was not as it must be.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

struct S3Error {
  std::string code;  // "NoSuchKey"; empty: the text is no error document
  std::string message;
  std::string region;  // where the bucket is, if it is elsewhere
};
// Never fails: whatever a proxy may have sent is no error document.
S3Error ParseS3Error(ByteSpan body);

struct S3Listing {
  std::vector<ObjectPage::Row> rows;  // whole keys
  bool more = false;
};
Result<S3Listing> ParseS3Listing(ByteSpan body);

// UploadId of an InitiateMultipartUploadResult.
Result<std::string> ParseS3UploadId(ByteSpan body);
// The body that completes an upload; `etags` are those of its parts in order.
std::string S3CompleteBody(const std::vector<std::string>& etags);

// An ETag without its quotes.
std::string PlainEtag(std::string_view etag);

}  // namespace morsel
