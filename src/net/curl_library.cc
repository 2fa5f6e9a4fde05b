// SPDX-License-Identifier: Apache-2.0
#include "net/curl_library.h"

#include "base/check.h"
#include "base/shared_library.h"

namespace morsel {
namespace {

Result<CurlLibrary> Load() {
  ASSIGN_OR_RETURN(const SharedLibrary library,
                   SharedLibrary::Load("libcurl.so.4", "libcurl4"));
  CurlLibrary curl;
  RETURN_IF_ERROR(library.Bind("curl_easy_init", curl.easy_init));
  RETURN_IF_ERROR(library.Bind("curl_easy_reset", curl.easy_reset));
  RETURN_IF_ERROR(library.Bind("curl_easy_setopt", curl.easy_setopt));
  RETURN_IF_ERROR(library.Bind("curl_easy_perform", curl.easy_perform));
  RETURN_IF_ERROR(library.Bind("curl_easy_getinfo", curl.easy_getinfo));
  RETURN_IF_ERROR(library.Bind("curl_easy_strerror", curl.easy_strerror));
  RETURN_IF_ERROR(library.Bind("curl_easy_cleanup", curl.easy_cleanup));
  RETURN_IF_ERROR(library.Bind("curl_slist_append", curl.slist_append));
  RETURN_IF_ERROR(library.Bind("curl_slist_free_all", curl.slist_free_all));
  RETURN_IF_ERROR(library.Bind("curl_getdate", curl.getdate));
  decltype(&::curl_global_init) global_init = nullptr;
  RETURN_IF_ERROR(library.Bind("curl_global_init", global_init));
  const CURLcode code = global_init(CURL_GLOBAL_DEFAULT);
  if (code != CURLE_OK)
    return MakeError(Code::kInternal,
                     std::string("libcurl: ") + curl.easy_strerror(code));
  return curl;
}

// A local static: once a process, thread-safe, and before any handle.
const Result<CurlLibrary>& Loaded() {
  static const Result<CurlLibrary> loaded = Load();
  return loaded;
}

}  // namespace

Status LoadCurl() {
  if (!Loaded().ok()) return Loaded().error();
  return Ok();
}

const CurlLibrary& Curl() {
  CHECK(Loaded().ok());
  return *Loaded();
}

}  // namespace morsel
