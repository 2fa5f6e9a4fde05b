// SPDX-License-Identifier: Apache-2.0
#include "store/s3_store.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "store/s3_failure.h"
#include "store/s3_xml.h"

namespace morsel {
namespace {

constexpr size_t kMaxPage = 1000;             // S3's own
constexpr uint64_t kMaxListBytes = 8 * kMiB;  // 1000 keys of 1 KiB, and more
constexpr uint64_t kMaxErrorBytes = 64 * kKiB;
constexpr uint64_t kMaxParts = 10'000;
// A service that lets two requests run into the timeout will not answer the
// third, and a reader waits.
constexpr int kMaxTimeouts = 2;

constexpr int kNotFoundStatus = 404;
constexpr int kConditionFailedStatus = 412;
constexpr int kNoRangeStatus = 416;

bool IsAnswered(const HttpAnswer& answer) {
  if (answer.status == kConditionFailedStatus ||
      answer.status == kNoRangeStatus)
    return true;
  if (answer.status == kNotFoundStatus)
    return ParseS3Error(answer.body).code != "NoSuchBucket";
  // A copy and the end of an upload may fail after their status was sent.
  return answer.status / 100 == 2 && ParseS3Error(answer.body).code.empty();
}

Error Missing(std::string_view key) {
  return MakeError(Code::kNotFound, std::string(key) + ": no such object");
}

// The number behind the last `separator`: of "bytes 0-9/10" and the like.
Result<uint64_t> NumberAfter(const std::string& text, char separator) {
  const size_t at = text.rfind(separator) + 1;  // npos + 1 is 0
  uint64_t value = 0;
  const auto [end, failed] =
      std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size())
    return MakeError(Code::kCorrupt,
                     "the service's answer has no length: '" + text + "'");
  return value;
}

ObjectInfo InfoOf(const HttpAnswer& answer, uint64_t size_bytes) {
  return {PlainEtag(answer.Header("etag")), size_bytes,
          ParseHttpDate(answer.Header("last-modified"))};
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> S3Store::Open(const S3Address& address,
                                                   Access access) {
  const auto timeout = std::chrono::milliseconds(
      static_cast<int64_t>(address.timeout_seconds * 1000));
  ASSIGN_OR_RETURN(
      auto http, MakeHttpClient({.ca_file = address.ca_file,
                                 .connect_timeout = std::min(
                                     timeout, std::chrono::milliseconds(5000)),
                                 .timeout = timeout,
                                 .max_requests = address.connections}));
  return Open(address, access,
              {.http = std::move(http),
               .credentials = MakeAwsCredentialSource(
                   {.profile = address.profile, .environment = {}}),
               .retries = ProcessRetryBudget(),
               .clock = SystemClock()});
}

Result<std::unique_ptr<ObjectStore>> S3Store::Open(const S3Address& address,
                                                   Access access, Parts parts) {
  std::unique_ptr<S3Store> store(
      new S3Store(address, access, std::move(parts)));
  if (access == Access::kWrite)
    RETURN_IF_ERROR_AS(CheckConditionalWrites(*store),
                       "the store s3://" + address.bucket);
  return std::unique_ptr<ObjectStore>(std::move(store));
}

void S3Store::WarmUp() {
  WarmUpHttp(*parts_.http, address_.scheme + "://" + address_.host + "/");
  static_cast<void>(parts_.credentials->Get());
}

std::string S3Store::Object(std::string_view key) const {
  return address_.prefix.empty() ? std::string(key)
                                 : address_.prefix + "/" + std::string(key);
}

Status S3Store::CheckWrite(std::string_view key) const {
  RETURN_IF_ERROR(CheckKey(key));
  if (access_ == Access::kRead)
    return MakeError(Code::kDenied, "write " + std::string(key) +
                                        ": the store is open for reading");
  return Ok();
}

AwsRequest S3Store::Describe(const Call& call) const {
  AwsRequest request;
  request.method = call.method;
  request.scheme = address_.scheme;
  request.host = address_.path_style ? address_.host
                                     : address_.bucket + "." + address_.host;
  request.path = address_.path_style ? "/" + address_.bucket + "/" + call.object
                                     : "/" + call.object;
  request.query = call.query;
  request.headers = call.headers;
  request.body = call.body;
  return request;
}

Result<HttpAnswer> S3Store::Send(const Call& call) {
  const std::string what =
      call.method + " s3://" + address_.bucket + "/" + call.object;
  const AwsRequest request = Describe(call);
  for (int tries = 1;; ++tries) {
    ASSIGN_OR_RETURN_AS(const AwsCredentials credentials,
                        parts_.credentials->Get(), what);
    HttpRequest sent = SignAwsRequest(request, {address_.region, "s3"},
                                      credentials, parts_.clock.UnixSeconds());
    sent.max_answer_bytes = std::max(call.max_answer_bytes, kMaxErrorBytes);
    Result<HttpAnswer> answer = parts_.http->Send(sent);
    if (answer.ok() && IsAnswered(*answer)) {
      parts_.retries.Succeeded();
      return answer;
    }
    S3Failure failure =
        answer.ok()
            ? JudgeS3Answer(*answer, address_, what, parts_.clock.UnixSeconds())
            : JudgeS3Silence(std::move(answer).error(), what);
    if (failure.credentials) parts_.credentials->Reject(credentials);
    if (failure.error.code == Code::kTimeout && tries >= kMaxTimeouts)
      failure.again = false;
    if (failure.again && parts_.retries.TryAgain(tries, failure.wait)) continue;
    if (tries > 1)
      failure.error.message += " (" + std::to_string(tries) + " tries)";
    return std::move(failure.error);
  }
}

Result<ObjectData> S3Store::Get(std::string_view key, uint64_t offset,
                                uint64_t limit_bytes) {
  RETURN_IF_ERROR(CheckKey(key));
  const auto nothing = [&]() -> Result<ObjectData> {
    ASSIGN_OR_RETURN(ObjectInfo info, Head(key));
    return ObjectData{{}, std::move(info)};
  };
  if (limit_bytes == 0) return nothing();
  Call call{.method = "GET", .object = Object(key), .query = {}, .headers = {}};
  call.max_answer_bytes = limit_bytes;
  const bool to_the_end = limit_bytes - 1 > INT64_MAX - (offset & INT64_MAX);
  if (offset > INT64_MAX) return nothing();
  if (offset > 0 || !to_the_end)
    call.headers.emplace_back(
        "range",
        "bytes=" + std::to_string(offset) + "-" +
            (to_the_end ? "" : std::to_string(offset + limit_bytes - 1)));
  ASSIGN_OR_RETURN(HttpAnswer answer, Send(call));
  if (answer.status == kNotFoundStatus) return Missing(key);
  if (answer.status == kNoRangeStatus) return nothing();
  if (answer.body.size() > limit_bytes)
    return MakeError(Code::kCorrupt,
                     std::string(key) + ": the service ignores ranges");
  uint64_t size = answer.body.size();
  if (answer.status == 206) {
    ASSIGN_OR_RETURN(size, NumberAfter(answer.Header("content-range"), '/'));
    if (answer.body.size() != std::min(limit_bytes, size - offset))
      return MakeError(Code::kCorrupt,
                       std::string(key) + ": the answer is cut short");
  }
  ObjectInfo info = InfoOf(answer, size);
  return ObjectData{std::move(answer.body), std::move(info)};
}

Result<HttpAnswer> S3Store::SendPut(std::string_view key, ByteSpan bytes,
                                    HttpHeaders headers) {
  return Send({.method = "PUT",
               .object = Object(key),
               .query = {},
               .headers = std::move(headers),
               .body = bytes});
}

Status S3Store::PutIfAbsent(std::string_view key, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckWrite(key));
  ASSIGN_OR_RETURN(const HttpAnswer answer,
                   SendPut(key, bytes, {{"if-none-match", "*"}}));
  if (answer.status == kConditionFailedStatus)
    return MakeError(Code::kExists, std::string(key) + " exists");
  if (answer.status / 100 != 2) return Missing(key);
  return Ok();
}

Status S3Store::Put(std::string_view key, ByteSpan bytes) {
  RETURN_IF_ERROR(CheckWrite(key));
  if (bytes.size() > address_.multipart_bytes)
    return PutInParts(Object(key), bytes);
  ASSIGN_OR_RETURN(const HttpAnswer answer, SendPut(key, bytes, {}));
  if (answer.status / 100 != 2) return Missing(key);
  return Ok();
}

Result<HttpAnswer> S3Store::SendReplace(std::string_view key, ByteSpan bytes,
                                        const std::string& version,
                                        bool quoted) {
  return SendPut(key, bytes,
                 {{"if-match", quoted ? "\"" + version + "\"" : version}});
}

Status S3Store::ReplaceIfUnchanged(std::string_view key, ByteSpan bytes,
                                   std::string_view version) {
  RETURN_IF_ERROR(CheckWrite(key));
  const std::string expected(version);
  const bool quoted = quotes_etags_;
  ASSIGN_OR_RETURN(HttpAnswer answer,
                   SendReplace(key, bytes, expected, quoted));
  if (answer.status == kConditionFailedStatus) {
    // Changed, gone, or the form of the condition that this service wants.
    ASSIGN_OR_RETURN(const ObjectInfo now, Head(key));
    if (now.version == expected && !expected.empty()) {
      ASSIGN_OR_RETURN(answer, SendReplace(key, bytes, expected, !quoted));
      if (answer.status / 100 == 2) quotes_etags_ = !quoted;
    }
  }
  if (answer.status == kConditionFailedStatus)
    return MakeError(Code::kExists, std::string(key) + " has changed");
  if (answer.status / 100 != 2) return Missing(key);
  return Ok();
}

Result<ObjectInfo> S3Store::Head(std::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  ASSIGN_OR_RETURN(const HttpAnswer answer, Send({.method = "HEAD",
                                                  .object = Object(key),
                                                  .query = {},
                                                  .headers = {}}));
  if (answer.status / 100 != 2) return Missing(key);
  ASSIGN_OR_RETURN(const uint64_t size,
                   NumberAfter(answer.Header("content-length"), ' '));
  return InfoOf(answer, size);
}

Result<ObjectPage> S3Store::List(std::string_view prefix,
                                 std::string_view after, size_t limit) {
  const std::string base = Object("");  // "" or "PREFIX/"
  std::string last = after.empty() ? std::string() : base + std::string(after);
  ObjectPage page;
  for (bool more = true; more && page.rows.size() < limit;) {
    Call call{.method = "GET", .object = "", .query = {}, .headers = {}};
    call.max_answer_bytes = kMaxListBytes;
    call.query = {{"list-type", "2"},
                  {"max-keys", std::to_string(std::min(limit - page.rows.size(),
                                                       kMaxPage))},
                  {"prefix", base + std::string(prefix)}};
    if (!last.empty()) call.query.emplace_back("start-after", last);
    ASSIGN_OR_RETURN(const HttpAnswer answer, Send(call));
    ASSIGN_OR_RETURN(S3Listing listing, ParseS3Listing(answer.body));
    more = listing.more;
    if (more && listing.rows.empty())
      return MakeError(Code::kCorrupt, "the service lists nothing, and more");
    for (ObjectPage::Row& row : listing.rows) {
      if (row.key <= last || !row.key.starts_with(base))
        return MakeError(Code::kCorrupt,
                         "the service lists keys out of order: it cannot be "
                         "an origin");
      last = row.key;
      row.key.erase(0, base.size());
      // What is no key of ours was put there by others.
      if (CheckKey(row.key).ok()) page.rows.push_back(std::move(row));
    }
    page.more = more;
  }
  return page;
}

Status S3Store::Delete(std::string_view key) {
  RETURN_IF_ERROR(CheckWrite(key));
  ASSIGN_OR_RETURN(const HttpAnswer answer, Send({.method = "DELETE",
                                                  .object = Object(key),
                                                  .query = {},
                                                  .headers = {}}));
  return Ok();
}

Status S3Store::Copy(std::string_view source, std::string_view target) {
  RETURN_IF_ERROR(CheckKey(source));
  RETURN_IF_ERROR(CheckWrite(target));
  const std::string from =
      "/" + address_.bucket + "/" + UriEncode(Object(source), true);
  ASSIGN_OR_RETURN(const HttpAnswer answer,
                   SendPut(target, {}, {{"x-amz-copy-source", from}}));
  if (answer.status / 100 != 2) return Missing(source);
  return Ok();
}

Status S3Store::PutInParts(const std::string& object, ByteSpan bytes) {
  ASSIGN_OR_RETURN(const HttpAnswer begun, Send({.method = "POST",
                                                 .object = object,
                                                 .query = {{"uploads", ""}},
                                                 .headers = {}}));
  ASSIGN_OR_RETURN(const std::string upload, ParseS3UploadId(begun.body));
  const Status done = PutParts(object, upload, bytes);
  if (done.ok()) return done;
  // Parts that stay cost room and are seen by no list.
  static_cast<void>(Send({.method = "DELETE",
                          .object = object,
                          .query = {{"uploadId", upload}},
                          .headers = {}}));
  return done;
}

Status S3Store::PutParts(const std::string& object, const std::string& upload,
                         ByteSpan bytes) {
  const uint64_t part_bytes = std::max<uint64_t>(address_.multipart_bytes,
                                                 bytes.size() / kMaxParts + 1);
  std::vector<std::string> etags;
  for (uint64_t at = 0; at < bytes.size(); at += part_bytes) {
    const ByteSpan part =
        bytes.subspan(at, std::min<uint64_t>(part_bytes, bytes.size() - at));
    ASSIGN_OR_RETURN(
        const HttpAnswer put,
        Send({.method = "PUT",
              .object = object,
              .query = {{"partNumber", std::to_string(etags.size() + 1)},
                        {"uploadId", upload}},
              .headers = {},
              .body = part}));
    if (put.status / 100 != 2) return Missing(object + " (a part of it)");
    etags.push_back(PlainEtag(put.Header("etag")));
  }
  const std::string body = S3CompleteBody(etags);
  ASSIGN_OR_RETURN(const HttpAnswer done, Send({.method = "POST",
                                                .object = object,
                                                .query = {{"uploadId", upload}},
                                                .headers = {},
                                                .body = AsBytes(body)}));
  if (done.status / 100 != 2) return Missing(object + " (its upload)");
  return Ok();
}

}  // namespace morsel
