// SPDX-License-Identifier: Apache-2.0
#include "net/http_stream.h"

#include <memory>

#include "net/curl_library.h"

namespace morsel {
namespace {

struct FreeEasy {
  void operator()(CURL* easy) const { Curl().easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { Curl().slist_free_all(list); }
};

struct Receiver {
  const std::function<bool(ByteSpan)>& on_data;
  const std::atomic<bool>& stop;
  bool is_done = false;
};

size_t OnData(char* data, size_t size, size_t count, void* context) {
  auto& receiver = *static_cast<Receiver*>(context);
  const ByteSpan bytes = AsBytes(std::string_view(data, size * count));
  if (receiver.on_data(bytes)) return bytes.size();
  receiver.is_done = true;
  return 0;  // ends the transfer
}

int OnProgress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& receiver = *static_cast<Receiver*>(context);
  if (!receiver.stop) return 0;
  receiver.is_done = true;
  return 1;
}

}  // namespace

Status StreamHttp(const StreamRequest& request,
                  const std::function<bool(ByteSpan)>& on_data,
                  const std::atomic<bool>& stop) {
  RETURN_IF_ERROR(LoadCurl());
  const std::unique_ptr<CURL, FreeEasy> easy(Curl().easy_init());
  const std::unique_ptr<curl_slist, FreeList> headers(
      Curl().slist_append(nullptr, "Content-Type: application/json"));
  if (easy == nullptr || headers == nullptr)
    return MakeError(Code::kExhausted, "HTTP: no memory for a request");
  Receiver receiver{on_data, stop};
  CURL* const c = easy.get();
  Curl().easy_setopt(c, CURLOPT_URL, request.url.c_str());
  Curl().easy_setopt(c, CURLOPT_POSTFIELDS, request.body.c_str());
  Curl().easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
  Curl().easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  Curl().easy_setopt(c, CURLOPT_FAILONERROR, 1L);
  Curl().easy_setopt(c, CURLOPT_PROXY, "");
  Curl().easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(request.connect_timeout.count()));
  if (!request.ca_file.empty())
    Curl().easy_setopt(c, CURLOPT_CAINFO, request.ca_file.c_str());
  Curl().easy_setopt(c, CURLOPT_WRITEFUNCTION, OnData);
  Curl().easy_setopt(c, CURLOPT_WRITEDATA, &receiver);
  Curl().easy_setopt(c, CURLOPT_XFERINFOFUNCTION, OnProgress);
  Curl().easy_setopt(c, CURLOPT_XFERINFODATA, &receiver);
  Curl().easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  const CURLcode code = Curl().easy_perform(c);
  if (receiver.is_done) return Ok();
  return MakeError(Code::kUnavailable,
                   request.url + ": " +
                       (code == CURLE_OK ? "the other side has ended it"
                                         : Curl().easy_strerror(code)));
}

}  // namespace morsel
