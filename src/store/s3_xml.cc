// SPDX-License-Identifier: Apache-2.0
#include "store/s3_xml.h"

#include <charconv>
#include <pugixml.hpp>

#include "net/http_client.h"

namespace morsel {
namespace {

constexpr size_t kMaxMessage = 200;

// No entities but XML's own are expanded by pugixml, and no file is read.
bool Load(pugi::xml_document& document, ByteSpan body) {
  return !body.empty() && document.load_buffer(body.data(), body.size(),
                                               pugi::parse_default |
                                                   pugi::parse_ws_pcdata_single,
                                               pugi::encoding_utf8);
}

Error NoDocument(const char* what) {
  return MakeError(Code::kCorrupt, std::string("the service's answer is no ") +
                                       what + ": is this an S3 service?");
}

}  // namespace

S3Error ParseS3Error(ByteSpan body) {
  pugi::xml_document document;
  S3Error error;
  if (!Load(document, body)) return error;
  const pugi::xml_node root = document.child("Error");
  error.code = root.child_value("Code");
  error.message = root.child_value("Message");
  error.region = root.child_value("Region");
  if (error.message.size() > kMaxMessage) error.message.resize(kMaxMessage);
  return error;
}

Result<S3Listing> ParseS3Listing(ByteSpan body) {
  pugi::xml_document document;
  if (!Load(document, body)) return NoDocument("list");
  const pugi::xml_node root = document.child("ListBucketResult");
  const std::string_view truncated = root.child_value("IsTruncated");
  if (truncated != "true" && truncated != "false") return NoDocument("list");
  S3Listing listing;
  listing.more = truncated == "true";
  for (const pugi::xml_node& item : root.children("Contents")) {
    ObjectPage::Row row;
    row.key = item.child_value("Key");
    const std::string_view size = item.child_value("Size");
    const auto [end, failed] = std::from_chars(
        size.data(), size.data() + size.size(), row.info.size_bytes);
    if (row.key.empty() || failed != std::errc() ||
        end != size.data() + size.size())
      return NoDocument("list");
    row.info.version = PlainEtag(item.child_value("ETag"));
    row.info.modified_unix_seconds =
        ParseHttpDate(item.child_value("LastModified"));
    listing.rows.push_back(std::move(row));
  }
  return listing;
}

Result<std::string> ParseS3UploadId(ByteSpan body) {
  pugi::xml_document document;
  if (!Load(document, body)) return NoDocument("upload id");
  std::string id =
      document.child("InitiateMultipartUploadResult").child_value("UploadId");
  if (id.empty()) return NoDocument("upload id");
  return id;
}

std::string S3CompleteBody(const std::vector<std::string>& etags) {
  std::string body = "<CompleteMultipartUpload>";
  for (size_t i = 0; i < etags.size(); ++i)
    body += "<Part><PartNumber>" + std::to_string(i + 1) +
            "</PartNumber><ETag>&quot;" + etags[i] + "&quot;</ETag></Part>";
  return body + "</CompleteMultipartUpload>";
}

std::string PlainEtag(std::string_view etag) {
  if (etag.starts_with('"')) etag.remove_prefix(1);
  if (etag.ends_with('"')) etag.remove_suffix(1);
  return std::string(etag);
}

}  // namespace morsel
