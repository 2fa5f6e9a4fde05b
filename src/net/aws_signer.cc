// SPDX-License-Identifier: Apache-2.0
#include "net/aws_signer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <map>

#include "crypto/hash.h"

namespace morsel {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

// "20130524T000000Z".
std::string AmzDate(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm parts{};
  std::array<char, 32> text{};
  ::gmtime_r(&time, &parts);
  const size_t n =
      std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &parts);
  return std::string(text.data(), n);
}

std::string Hash(ByteSpan bytes) { return ToHex(Sha256Of(bytes)); }

// Sorted by name, then value, both encoded: as the signature wants it, and as
// the URL then has it.
std::string CanonicalQuery(const AwsRequest& request) {
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : request.query)
    encoded.emplace_back(UriEncode(name, false), UriEncode(value, false));
  std::sort(encoded.begin(), encoded.end());
  std::string text;
  for (const auto& [name, value] : encoded)
    text += (text.empty() ? "" : "&") + name + "=" + value;
  return text;
}

// Spaces in a row count as one, those at the ends as none.
std::string Squeezed(const std::string& value) {
  std::string out;
  for (const char c : value)
    if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

struct Canonical {
  std::string headers;  // "name:value\n" each
  std::string names;    // "host;x-amz-date"
};

Canonical CanonicalHeaders(const HttpHeaders& headers) {
  std::map<std::string, std::string> sorted;
  for (const auto& [name, value] : headers) {
    std::string lower = name;
    std::transform(
        lower.begin(), lower.end(), lower.begin(),
        [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string& all = sorted[lower];
    all += (all.empty() ? "" : ",") + Squeezed(value);
  }
  Canonical canonical;
  for (const auto& [name, value] : sorted) {
    canonical.headers += name + ":" + value + "\n";
    canonical.names += (canonical.names.empty() ? "" : ";") + name;
  }
  return canonical;
}

// A chain of HMACs, so that a leaked one serves a day, a region and a service.
std::string Signature(const SecretText& secret, const std::string& date,
                      const AwsService& service, const std::string& to_sign) {
  constexpr std::string_view kPrefix = "AWS4";
  SecretBuffer first(kPrefix.size() + secret.bytes().size());
  const ByteSpan prefix = AsBytes(kPrefix);
  const auto rest =
      std::copy(prefix.begin(), prefix.end(), first.mutable_bytes().begin());
  std::copy(secret.bytes().begin(), secret.bytes().end(), rest);
  Digest key = HmacSha256(first.bytes(), {AsBytes(date)});
  for (const std::string_view part :
       {std::string_view(service.region), std::string_view(service.service),
        std::string_view("aws4_request")})
    key = HmacSha256(key, {AsBytes(part)});
  std::string signature = ToHex(HmacSha256(key, {AsBytes(to_sign)}));
  Wipe(key);
  return signature;
}

}  // namespace

HttpRequest SignAwsRequest(const AwsRequest& request, const AwsService& service,
                           const AwsCredentials& credentials,
                           int64_t unix_seconds) {
  const std::string time = AmzDate(unix_seconds);
  const std::string date = time.substr(0, 8);
  const bool s3 = service.service == "s3";
  const std::string body_hash = Hash(request.body);
  // S3 signs the path encoded once, every other service what S3 would sign,
  // encoded once more.
  const std::string path = UriEncode(request.path, true);
  const std::string signed_path = s3 ? path : UriEncode(path, true);
  const std::string query = CanonicalQuery(request);

  HttpHeaders headers = request.headers;
  headers.emplace_back("host", request.host);
  headers.emplace_back("x-amz-date", time);
  if (s3) headers.emplace_back("x-amz-content-sha256", body_hash);
  if (!credentials.session_token.empty())
    headers.emplace_back("x-amz-security-token", credentials.session_token);
  const Canonical canonical = CanonicalHeaders(headers);
  const std::string canonical_request =
      request.method + "\n" + signed_path + "\n" + query + "\n" +
      canonical.headers + "\n" + canonical.names + "\n" + body_hash;

  const std::string scope =
      date + "/" + service.region + "/" + service.service + "/aws4_request";
  const std::string to_sign = std::string(kAlgorithm) + "\n" + time + "\n" +
                              scope + "\n" + Hash(AsBytes(canonical_request));
  headers.emplace_back(
      "authorization",
      std::string(kAlgorithm) + " Credential=" + credentials.access_key_id +
          "/" + scope + ", SignedHeaders=" + canonical.names + ", Signature=" +
          Signature(credentials.secret_access_key, date, service, to_sign));

  HttpRequest out;
  out.method = request.method;
  out.url = request.scheme + "://" + request.host + path +
            (query.empty() ? "" : "?" + query);
  out.headers = std::move(headers);
  out.body = request.body;
  return out;
}

}  // namespace morsel
