// SPDX-License-Identifier: Apache-2.0
// HttpClient: one HTTP request, one whole answer, blocking. The only place of
// libcurl.
//
// Connections are kept and used again. A pool bounds how many requests are in
// flight: who comes beyond it waits, so a slow service is never met by more
// and more of them. Nothing is retried here (net/retry.h) and no redirect is
// followed.
//
// Thread safety: implementations are thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method = "GET";  // GET, HEAD, PUT, POST, DELETE
  std::string url;             // sent as it is: already percent-encoded
  HttpHeaders headers;
  ByteSpan body;  // must outlive the call
  // A longer answer is refused, however long it claims to be.
  uint64_t max_answer_bytes = 64 * kMiB;
};

struct HttpAnswer {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  Bytes body;

  // The header's value, or "".
  std::string Header(const std::string& name) const;
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;

  // Any status is a value. kUnavailable: no connection, or it broke (the
  // request may have been executed all the same); kTimeout; kDenied: the
  // server's certificate is not trusted; kCorrupt: the answer is no HTTP, or
  // too long; kExhausted: no place in the pool within the timeout.
  virtual Result<HttpAnswer> Send(const HttpRequest& request) = 0;
};

struct HttpOptions {
  std::string ca_file;  // PEM, beside nothing else; "": the system's
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds timeout{30'000};  // of a whole request
  size_t max_requests = 64;                   // in flight at once
};

// kNotFound, kInvalid: the CA file.
Result<std::unique_ptr<HttpClient>> MakeHttpClient(const HttpOptions& options);

// What a confined process that uses a client has to allow (base/confine.h).
// Before it is confined it calls WarmUpHttp, since a resolver may load
// libraries, which a confined process cannot.
std::vector<std::string> HttpSyscalls();
// Looks `url`'s host up and opens a connection, if it can: no error matters.
void WarmUpHttp(HttpClient& client, const std::string& url);

// Percent-encodes all but A-Z a-z 0-9 - . _ ~ (and '/', if it is kept), as
// AWS's signatures want it (RFC 3986).
std::string UriEncode(std::string_view text, bool keep_slash);

// "Sun, 06 Nov 1994 08:49:37 GMT" and "1994-11-06T08:49:37[.123]Z" as seconds
// since 1970; 0 if it is neither.
int64_t ParseHttpDate(const std::string& text);

}  // namespace morsel
