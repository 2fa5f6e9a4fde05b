// SPDX-License-Identifier: Apache-2.0
// Any bytes as the answer of an S3 service: lists keep what s3_xml.h promises,
// the rest is an error.
#include "base/check.h"
#include "store/s3_xml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace morsel;
  const ByteSpan bytes = std::as_bytes(std::span(data, size));
  const Result<S3Listing> listing = ParseS3Listing(bytes);
  if (listing.ok()) {
    for (const ObjectPage::Row& row : listing->rows) CHECK(!row.key.empty());
  } else {
    CHECK(listing.error().code == Code::kCorrupt);
  }
  const Result<std::string> upload = ParseS3UploadId(bytes);
  CHECK(!upload.ok() || !upload->empty());
  static_cast<void>(ParseS3Error(bytes));
  return 0;
}
