// SPDX-License-Identifier: Apache-2.0
#include "store/s3_failure.h"

#include <algorithm>
#include <cstdlib>

#include "store/s3_xml.h"

namespace morsel {
namespace {

constexpr int64_t kLongestRetryAfterSeconds = 60;

// How far this machine's clock is off, by the service's own.
std::string Skew(const HttpAnswer& answer, int64_t unix_seconds) {
  const int64_t theirs = ParseHttpDate(answer.Header("date"));
  if (theirs == 0) return "it differs from the service's";
  const int64_t off = unix_seconds - theirs;
  return "it is " + std::to_string(std::abs(off)) + " s " +
         (off < 0 ? "behind" : "ahead of") + " the service's";
}

S3Failure Final(Code code, std::string message) {
  return {.error = MakeError(code, std::move(message))};
}

S3Failure Passing(Code code, std::string message) {
  return {.error = MakeError(code, std::move(message)), .again = true};
}

S3Failure Throttled(const HttpAnswer& answer, const std::string& text) {
  S3Failure failure =
      Passing(Code::kUnavailable,
              text + ": the service asks for less load; try again later");
  const int64_t seconds =
      std::clamp<int64_t>(std::atoll(answer.Header("retry-after").c_str()), 0,
                          kLongestRetryAfterSeconds);
  failure.wait = std::chrono::seconds(seconds);
  return failure;
}

S3Failure JudgeDenied(const HttpAnswer& answer, const S3Error& error,
                      const std::string& text, int64_t unix_seconds) {
  const std::string& code = error.code;
  if (code == "RequestTimeTooSkewed")
    return Final(Code::kDenied, text + ": this machine's clock is wrong (" +
                                    Skew(answer, unix_seconds) +
                                    "): set it right");
  if (code == "ExpiredToken" || code == "InvalidToken" ||
      code == "TokenRefreshRequired") {
    S3Failure failure =
        Passing(Code::kDenied, text + ": the credentials have expired");
    failure.credentials = true;
    return failure;
  }
  if (code == "InvalidAccessKeyId")
    return Final(Code::kDenied,
                 text + ": the service does not know the access key id");
  if (code == "SignatureDoesNotMatch")
    return Final(Code::kDenied,
                 text + ": the secret access key (or s3.region) is wrong");
  if (code == "QuotaExceeded")
    return Final(Code::kExhausted, text + ": the quota is used up");
  return Final(Code::kDenied,
               text + ": these credentials lack the right to do that");
}

S3Failure JudgeElsewhere(const HttpAnswer& answer, const S3Error& error,
                         const std::string& text) {
  std::string region = answer.Header("x-amz-bucket-region");
  if (region.empty()) region = error.region;
  return Final(Code::kInvalid,
               text + ": the bucket lies elsewhere" +
                   (region.empty() ? "" : ", in the region " + region) +
                   ": set s3.region and s3.endpoint");
}

bool IsPassing(int status, const std::string& code) {
  return status == 500 || status == 502 || status == 504 || status == 408 ||
         code == "RequestTimeout" || code == "InternalError";
}

bool IsThrottling(int status, const std::string& code) {
  return status == 503 || status == 429 || status == 509 ||
         code == "SlowDown" || code.find("Throttl") != std::string::npos;
}

}  // namespace

S3Failure JudgeS3Answer(const HttpAnswer& answer, const S3Address& address,
                        const std::string& what, int64_t unix_seconds) {
  const S3Error error = ParseS3Error(answer.body);
  const int status = answer.status;
  std::string text = what + ": status " + std::to_string(status);
  if (!error.code.empty()) text += " " + error.code;
  if (!error.message.empty()) text += " (" + error.message + ")";
  const std::string& code = error.code;
  if (code == "NoSuchBucket")
    return Final(Code::kInvalid, what + ": there is no bucket " +
                                     address.bucket + " at " + address.host +
                                     ": make it, or name another");
  if (status == 507)
    return Final(Code::kExhausted, text + ": the service has no room");
  if (IsThrottling(status, code)) return Throttled(answer, text);
  if (IsPassing(status, code))
    return Passing(Code::kUnavailable, text + ": the service has a fault");
  if (code == "BadDigest" || code == "XAmzContentSHA256Mismatch" ||
      code == "IncompleteBody")
    return Passing(Code::kCorrupt,
                   text + ": the bytes were damaged on the way");
  if (status == 409)
    return Passing(Code::kUnavailable, text + ": another writer is at it");
  if (status == 301 || status == 307 || code == "AuthorizationHeaderMalformed")
    return JudgeElsewhere(answer, error, text);
  if (status == 401 || status == 403 || code == "ExpiredToken")
    return JudgeDenied(answer, error, text, unix_seconds);
  if (status == 501 || status == 405)
    return Final(Code::kInvalid, text + ": the service cannot do that");
  if (status / 100 == 2)
    return Passing(Code::kUnavailable, text + ": it failed half-way");
  return Final(Code::kInvalid, text + ": the service refuses it");
}

S3Failure JudgeS3Silence(Error error, const std::string& what) {
  const Code code = error.code;
  const bool again = code == Code::kUnavailable || code == Code::kTimeout ||
                     code == Code::kCorrupt;
  return {.error = std::move(error).Wrap(what), .again = again};
}

}  // namespace morsel
