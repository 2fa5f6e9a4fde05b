// SPDX-License-Identifier: Apache-2.0
#include "store/s3_address.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>

#include "net/aws_credentials.h"
#include "net/http_client.h"
#include "store/object_store.h"

namespace morsel {
namespace {

constexpr std::string_view kScheme = "s3://";
constexpr const char* kDefaultRegion = "us-east-1";
// S3's own limits of a part.
constexpr uint64_t kLeastPart = 5 * kMiB;
constexpr uint64_t kLargestPart = 5 * kGiB;
constexpr double kLongestTimeout = 3600;

using Options = std::map<std::string, std::string, std::less<>>;

Error Bad(std::string_view text, std::string_view why) {
  return MakeError(Code::kInvalid,
                   "the origin " + std::string(text) + ": " + std::string(why));
}

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

Result<std::string> Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const bool whole = i + 2 < text.size();
    const auto high = whole ? HexDigit(text[i + 1]) : std::nullopt;
    const auto low = whole ? HexDigit(text[i + 2]) : std::nullopt;
    if (!high || !low)
      return MakeError(Code::kInvalid, "a '%' needs two hexadecimal digits");
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

Result<Options> ParseOptions(std::string_view query) {
  constexpr std::string_view kKnown[] = {
      "endpoint", "region",  "style",       "ca_file",
      "profile",  "timeout", "connections", "multipart_bytes"};
  Options options;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = pair.find('=');
    const std::string name(pair.substr(0, equals));
    if (std::find(std::begin(kKnown), std::end(kKnown), name) ==
        std::end(kKnown))
      return MakeError(Code::kInvalid, "unknown option " + name);
    ASSIGN_OR_RETURN(options[name], Decode(equals == std::string_view::npos
                                               ? std::string_view()
                                               : pair.substr(equals + 1)));
  }
  return options;
}

std::string Take(const Options& options, std::string_view name,
                 const std::string& fallback) {
  const auto it = options.find(name);
  return it == options.end() || it->second.empty() ? fallback : it->second;
}

bool IsBucketName(std::string_view name) {
  return name.size() >= 3 && name.size() <= 63 &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.';
         });
}

Status SetEndpoint(const std::string& endpoint, S3Address& address) {
  const size_t colon = endpoint.find("://");
  address.scheme = endpoint.substr(0, std::min(colon, endpoint.size()));
  if (colon == std::string::npos ||
      (address.scheme != "http" && address.scheme != "https"))
    return MakeError(Code::kInvalid, "the endpoint '" + endpoint +
                                         "' must begin with http:// or "
                                         "https://");
  address.host = endpoint.substr(colon + 3);
  while (!address.host.empty() && address.host.back() == '/')
    address.host.pop_back();
  if (address.host.empty() ||
      address.host.find_first_of("/?#@ ") != std::string::npos)
    return MakeError(Code::kInvalid,
                     "the endpoint '" + endpoint +
                         "' must be a scheme, a host and a port alone");
  return Ok();
}

Status SetStyle(const std::string& style, S3Address& address) {
  // A certificate for *.HOST does not cover a bucket with a dot.
  const bool amazon = address.host.ends_with(".amazonaws.com") &&
                      address.bucket.find('.') == std::string::npos;
  address.path_style = style == "path" || (style == "auto" && !amazon);
  if (style != "path" && style != "virtual" && style != "auto")
    return MakeError(Code::kInvalid,
                     "the style '" + style + "' must be path, virtual or auto");
  return Ok();
}

Status SetLimits(const Options& options, S3Address& address) {
  const std::string timeout = Take(options, "timeout", "30");
  char* end = nullptr;
  address.timeout_seconds = std::strtod(timeout.c_str(), &end);
  if (*end != '\0' || !(address.timeout_seconds > 0) ||
      address.timeout_seconds > kLongestTimeout)
    return MakeError(Code::kInvalid, "the timeout '" + timeout +
                                         "' must be seconds, up to an hour");
  ASSIGN_OR_RETURN(const uint64_t connections,
                   ParseSize(Take(options, "connections", "64")));
  address.connections = std::clamp<uint64_t>(connections, 1, 4096);
  ASSIGN_OR_RETURN(const uint64_t part,
                   ParseSize(Take(options, "multipart_bytes", "64MiB")));
  if (part < kLeastPart || part > kLargestPart)
    return MakeError(Code::kInvalid,
                     "multipart_bytes must be from 5MiB to 5GiB");
  address.multipart_bytes = part;
  return Ok();
}

Result<S3Address> Parse(std::string_view text) {
  const size_t question = std::min(text.find('?'), text.size());
  const std::string_view place =
      text.substr(0, question).substr(kScheme.size());
  ASSIGN_OR_RETURN(
      const Options options,
      ParseOptions(text.substr(std::min(question + 1, text.size()))));
  const size_t slash = std::min(place.find('/'), place.size());
  S3Address address{};
  address.bucket = place.substr(0, slash);
  if (!IsBucketName(address.bucket))
    return MakeError(Code::kInvalid,
                     "'" + address.bucket +
                         "' is no name of a bucket (3 to 63 of a-z 0-9 - .)");
  address.prefix = place.substr(std::min(slash + 1, place.size()));
  while (!address.prefix.empty() && address.prefix.back() == '/')
    address.prefix.pop_back();
  if (!address.prefix.empty()) RETURN_IF_ERROR(CheckKey(address.prefix));
  address.region = Take(options, "region", kDefaultRegion);
  RETURN_IF_ERROR(
      SetEndpoint(Take(options, "endpoint",
                       "https://s3." + address.region + ".amazonaws.com"),
                  address));
  RETURN_IF_ERROR(SetStyle(Take(options, "style", "auto"), address));
  RETURN_IF_ERROR(SetLimits(options, address));
  address.ca_file = Take(options, "ca_file", "");
  address.profile = Take(options, "profile", "");
  return address;
}

}  // namespace

Result<S3Address> ParseS3Address(std::string_view text) {
  if (!text.starts_with(kScheme))
    return Bad(text, "it must be s3://BUCKET[/PREFIX]");
  Result<S3Address> address = Parse(text);
  if (!address.ok()) return Bad(text, address.error().message);
  return address;
}

std::string OriginAddress(const Config& config) {
  std::string origin = config.Origin();
  if (!origin.starts_with(kScheme)) return origin;
  const size_t question = std::min(origin.find('?'), origin.size());
  const std::string said = "&" + origin.substr(question) + "&";
  std::string query;
  const auto add = [&](const std::string& name, const std::string& value) {
    if (value.empty() || said.find("&" + name + "=") != std::string::npos ||
        said.find("?" + name + "=") != std::string::npos)
      return;
    query += "&" + name + "=" + UriEncode(value, true);
  };
  add("region", AwsRegion(config.Text("s3.region")));
  for (const char* name : {"endpoint", "style", "ca_file", "profile", "timeout",
                           "connections", "multipart_bytes"})
    add(name, config.Text("s3." + std::string(name)));
  if (query.empty()) return origin;
  if (question == origin.size()) query[0] = '?';
  return origin + query;
}

}  // namespace morsel
