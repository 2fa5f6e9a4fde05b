// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mutex.h"
#include "net/curl_library.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxCaBytes = 4 * kMiB;
constexpr size_t kMaxHeaderBytes = 64 * kKiB;
// A transfer that crawls for this long is as good as dead.
constexpr long kStallSeconds = 15;
constexpr long kStallBytesPerSecond = 256;

struct EasyFree {
  void operator()(CURL* easy) const { Curl().easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyFree>;

struct ListFree {
  void operator()(curl_slist* list) const { Curl().slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListFree>;

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return static_cast<char>(std::tolower(c));
  });
  return text;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text[0])))
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.remove_suffix(1);
  return text;
}

// What the callbacks of one transfer fill and read.
struct Transfer {
  HttpAnswer answer;
  uint64_t max_answer_bytes = 0;
  size_t header_bytes = 0;
  bool too_long = false;
  ByteSpan unsent;
};

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const ByteSpan bytes = AsBytes({data, size * count});
  Bytes& body = transfer.answer.body;
  if (bytes.size() > transfer.max_answer_bytes - body.size()) {
    transfer.too_long = true;
    return 0;  // any other number than was given ends the transfer
  }
  body.insert(body.end(), bytes.begin(), bytes.end());
  return bytes.size();
}

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > kMaxHeaderBytes) {
    transfer.too_long = true;
    return 0;
  }
  // The final answer's headers replace those of a "100 Continue".
  if (line.starts_with("HTTP/")) transfer.answer.headers.clear();
  if (const size_t colon = line.find(':'); colon != std::string_view::npos)
    transfer.answer.headers[Lower(std::string(line.substr(0, colon)))] =
        Trim(line.substr(colon + 1));
  return line.size();
}

size_t OnRead(char* out, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const size_t n = std::min(size * count, transfer.unsent.size());
  std::copy_n(transfer.unsent.begin(), n, reinterpret_cast<std::byte*>(out));
  transfer.unsent = transfer.unsent.subspan(n);
  return n;
}

// A connection that was kept may have died: curl rewinds and sends anew.
int OnSeek(void* user, curl_off_t offset, int origin) {
  auto& [transfer, body] = *static_cast<std::pair<Transfer*, ByteSpan>*>(user);
  if (origin != SEEK_SET || offset < 0 ||
      static_cast<size_t>(offset) > body.size())
    return CURL_SEEKFUNC_FAIL;
  transfer->unsent = body.subspan(static_cast<size_t>(offset));
  return CURL_SEEKFUNC_OK;
}

std::string HostOf(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t begin = scheme == std::string::npos ? 0 : scheme + 3;
  return url.substr(begin, url.find_first_of("/?", begin) - begin);
}

Error TransferError(CURLcode code, const std::string& detail,
                    const HttpRequest& request) {
  const std::string where = request.method + " at " + HostOf(request.url);
  const std::string why =
      detail.empty() ? std::string(Curl().easy_strerror(code)) : detail;
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return MakeError(Code::kUnavailable, where + ": no such host (" + why +
                                               "); is the endpoint right?");
    case CURLE_COULDNT_CONNECT:
      return MakeError(Code::kUnavailable,
                       where + ": nobody answers there (" + why + ")");
    case CURLE_OPERATION_TIMEDOUT:
      return MakeError(Code::kTimeout,
                       where + ": no answer in time (" + why + ")");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return MakeError(Code::kDenied,
                       where + ": its certificate is not trusted (" + why +
                           "); name its CA's certificate as ca_file");
    case CURLE_UNSUPPORTED_PROTOCOL:
      if (request.url.starts_with("http"))  // an answer as of HTTP/0.9
        return MakeError(Code::kCorrupt, where + ": that was no HTTP: " + why);
      [[fallthrough]];
    case CURLE_URL_MALFORMAT:
      return MakeError(Code::kInvalid,
                       request.url + " is no URL that works: " + why);
    case CURLE_WEIRD_SERVER_REPLY:
      return MakeError(Code::kCorrupt, where + ": that was no HTTP: " + why);
    case CURLE_OUT_OF_MEMORY:
      return MakeError(Code::kExhausted, where + ": " + why);
    default:
      return MakeError(Code::kUnavailable,
                       where + ": the connection broke (" + why + ")");
  }
}

class CurlClient final : public HttpClient {
 public:
  CurlClient(HttpOptions options, Bytes ca)
      : options_(std::move(options)), ca_(std::move(ca)) {}

  Result<HttpAnswer> Send(const HttpRequest& request) override {
    ASSIGN_OR_RETURN(Easy easy, Take());
    Result<HttpAnswer> answer = SendOn(easy.get(), request);
    Give(std::move(easy));
    return answer;
  }

 private:
  // An idle handle, with its open connections, or a new one.
  Result<Easy> Take() EXCLUDES(mutex_) {
    const Deadline deadline = SystemClock().Now() + options_.timeout;
    const MutexLock lock(mutex_);
    while (busy_ >= options_.max_requests)
      if (!given_.WaitUntil(mutex_, deadline))
        return MakeError(Code::kExhausted,
                         std::to_string(busy_) +
                             " requests are in flight, and none ends: the "
                             "service is too slow for this load");
    ++busy_;
    if (idle_.empty()) return Easy(Curl().easy_init());
    Easy easy = std::move(idle_.back());
    idle_.pop_back();
    return easy;
  }
  void Give(Easy easy) EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    --busy_;
    // The last one used first: few connections stay warm, others time out.
    if (easy != nullptr) idle_.push_back(std::move(easy));
    given_.NotifyOne();
  }

  Result<HttpAnswer> SendOn(CURL* easy, const HttpRequest& request) const;
  void SetConnection(CURL* easy) const;

  const HttpOptions options_;
  const Bytes ca_;
  Mutex mutex_;
  CondVar given_;
  size_t busy_ GUARDED_BY(mutex_) = 0;
  std::vector<Easy> idle_ GUARDED_BY(mutex_);
};

void CurlClient::SetConnection(CURL* easy) const {
  Curl().easy_reset(easy);  // keeps connections and the cache of names
  Curl().easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  Curl().easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  Curl().easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  Curl().easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  Curl().easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  Curl().easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  Curl().easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L * 1024);
  Curl().easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
  Curl().easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options_.connect_timeout.count()));
  Curl().easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(options_.timeout.count()));
  Curl().easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  Curl().easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  if (ca_.empty()) return;
  // From memory: a confined process may not open the file.
  curl_blob blob{const_cast<std::byte*>(ca_.data()), ca_.size(),
                 CURL_BLOB_NOCOPY};
  Curl().easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
  Curl().easy_setopt(easy, CURLOPT_CAPATH, nullptr);
}

void SetMethod(CURL* easy, const HttpRequest& request) {
  if (request.method == "HEAD") {
    Curl().easy_setopt(easy, CURLOPT_NOBODY, 1L);
    return;
  }
  if (request.method == "PUT" || request.method == "POST") {
    // POST too: CURLOPT_POST would add a content type.
    Curl().easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    Curl().easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                       static_cast<curl_off_t>(request.body.size()));
  }
  Curl().easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

// "Expect:" off: the service is asked once, not twice.
Result<HeaderList> MakeHeaderList(const HttpHeaders& headers) {
  HeaderList list;
  const auto append = [&](const std::string& line) {
    curl_slist* longer = Curl().slist_append(list.get(), line.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(list.release());
    list.reset(longer);
    return true;
  };
  bool whole = append("Expect:") && append("Transfer-Encoding:");
  for (const auto& [name, value] : headers)
    // A header without a value needs a semicolon, or curl leaves it out.
    whole = whole && append(value.empty() ? name + ";" : name + ": " + value);
  if (!whole) return MakeError(Code::kExhausted, "no memory for HTTP headers");
  return list;
}

Result<HttpAnswer> CurlClient::SendOn(CURL* easy,
                                      const HttpRequest& request) const {
  if (easy == nullptr)
    return MakeError(Code::kExhausted, "no memory for an HTTP request");
  ASSIGN_OR_RETURN(const HeaderList headers, MakeHeaderList(request.headers));
  Transfer transfer;
  transfer.max_answer_bytes = request.max_answer_bytes;
  transfer.unsent = request.body;
  std::pair<Transfer*, ByteSpan> rewind{&transfer, request.body};
  std::array<char, CURL_ERROR_SIZE> detail{};
  SetConnection(easy);
  SetMethod(easy, request);
  Curl().easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  Curl().easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  Curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, detail.data());
  Curl().easy_setopt(easy, CURLOPT_WRITEFUNCTION, &OnBody);
  Curl().easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
  Curl().easy_setopt(easy, CURLOPT_HEADERFUNCTION, &OnHeader);
  Curl().easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
  Curl().easy_setopt(easy, CURLOPT_READFUNCTION, &OnRead);
  Curl().easy_setopt(easy, CURLOPT_READDATA, &transfer);
  Curl().easy_setopt(easy, CURLOPT_SEEKFUNCTION, &OnSeek);
  Curl().easy_setopt(easy, CURLOPT_SEEKDATA, &rewind);
  const CURLcode code = Curl().easy_perform(easy);
  // Nothing of this call may be touched by the next one's clean-up.
  Curl().easy_setopt(easy, CURLOPT_ERRORBUFFER, nullptr);
  if (transfer.too_long)
    return MakeError(Code::kCorrupt,
                     request.method + " at " + HostOf(request.url) +
                         ": the answer is longer than what was asked for");
  if (code != CURLE_OK) return TransferError(code, detail.data(), request);
  long status = 0;
  Curl().easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  transfer.answer.status = static_cast<int>(status);
  return std::move(transfer.answer);
}

}  // namespace

std::string HttpAnswer::Header(const std::string& name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? std::string() : it->second;
}

Result<std::unique_ptr<HttpClient>> MakeHttpClient(const HttpOptions& options) {
  RETURN_IF_ERROR(LoadCurl());
  Bytes ca;
  if (!options.ca_file.empty()) {
    ASSIGN_OR_RETURN_AS(ca, ReadWholeFile(options.ca_file, kMaxCaBytes),
                        "the CA's certificate");
    if (AsText(ca).find("-----BEGIN CERTIFICATE-----") == std::string::npos)
      return MakeError(Code::kInvalid,
                       options.ca_file + " holds no certificate (PEM)");
  }
  return std::unique_ptr<HttpClient>(
      std::make_unique<CurlClient>(options, std::move(ca)));
}

std::vector<std::string> HttpSyscalls() {
  return {"socket",      "connect",    "bind",       "getsockname",
          "getpeername", "getsockopt", "setsockopt", "socketpair",
          "sendmmsg",    "recvmmsg",   "ioctl",      "fcntl",
          "openat",      "newfstatat", "access",     "uname",
          "geteuid",     "getuid",     "getegid",    "getgid",
          "pipe2",       "clone",      "sysinfo",    "readlink"};
}

void WarmUpHttp(HttpClient& client, const std::string& url) {
  HttpRequest request;
  request.method = "HEAD";
  request.url = url;
  static_cast<void>(client.Send(request));
}

std::string UriEncode(std::string_view text, bool keep_slash) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x80 && std::isalnum(byte)) || c == '-' || c == '.' ||
        c == '_' || c == '~' || (c == '/' && keep_slash)) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

int64_t ParseHttpDate(const std::string& text) {
  if (text.size() >= 20 && text[10] == 'T') {
    std::tm parts{};
    if (::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr)
      return 0;
    return ::timegm(&parts);
  }
  if (!LoadCurl().ok()) return 0;
  const time_t seconds = Curl().getdate(text.c_str(), nullptr);
  return seconds < 0 ? 0 : seconds;
}

}  // namespace morsel
