// SPDX-License-Identifier: Apache-2.0
// libcurl, loaded by the first request: without an S3 origin, etcd or a key
// service nobody needs it (base/shared_library.h says why that matters).
// Thread safety: any.
#pragma once

#include <curl/curl.h>

#include "base/result.h"

namespace morsel {

// Functions as <curl/curl.h> declares them, without their "curl_".
struct CurlLibrary {
  decltype(&::curl_easy_init) easy_init = nullptr;
  decltype(&::curl_easy_reset) easy_reset = nullptr;
  decltype(&::curl_easy_setopt) easy_setopt = nullptr;
  decltype(&::curl_easy_perform) easy_perform = nullptr;
  decltype(&::curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&::curl_easy_strerror) easy_strerror = nullptr;
  decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&::curl_slist_append) slist_append = nullptr;
  decltype(&::curl_slist_free_all) slist_free_all = nullptr;
  decltype(&::curl_getdate) getdate = nullptr;
};

// Loads and initialises it. kNotFound: it is not installed; kInternal: it
// cannot start. Both will be so until the process ends.
Status LoadCurl();
// Requires: LoadCurl has succeeded.
const CurlLibrary& Curl();

}  // namespace morsel
