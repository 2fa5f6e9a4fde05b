// SPDX-License-Identifier: Apache-2.0
#include "frontend/report.h"

namespace morsel {
namespace {

constexpr const char* kNeedsCache = "needs_cache";

}  // namespace

Json ErrorReport(const Error& error) {
  Json report;
  report["error"]["code"] = CodeName(error.code);
  report["error"]["message"] = error.message;
  return report;
}

Status ParseReport(std::string_view text) {
  const Result<Json> report = Json::Parse(text);
  if (!report.ok())
    return MakeError(Code::kInternal, "the child said something strange");
  const Json* error = report->Find("error");
  if (error == nullptr) return Ok();
  const std::string word = error->StringOr("code", "");
  for (const Code code : {Code::kInvalid, Code::kNotFound, Code::kExists,
                          Code::kCorrupt, Code::kUnavailable, Code::kTimeout,
                          Code::kExhausted, Code::kDenied, Code::kIo})
    if (CodeName(code) == word)
      return MakeError(code, error->StringOr("message", ""));
  return MakeError(Code::kInternal, error->StringOr("message", ""));
}

Json NeedsCacheReport(uint64_t received) {
  Json report;
  report[kNeedsCache] = received;
  return report;
}

std::optional<uint64_t> ParseNeedsCache(std::string_view text) {
  const Result<Json> report = Json::Parse(text);
  if (!report.ok()) return std::nullopt;
  const int64_t received = report->IntOr(kNeedsCache, -1);
  if (received < 0) return std::nullopt;
  return static_cast<uint64_t>(received);
}

}  // namespace morsel
