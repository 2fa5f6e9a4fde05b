// SPDX-License-Identifier: Apache-2.0
// An HTTP answer that has no end: given to the caller piece by piece as it
// comes, such as the events of an etcd watch.
//
// Thread safety: a free function; it blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

struct StreamRequest {
  std::string url;
  std::string body;     // sent by POST, as JSON
  std::string ca_file;  // PEM; "": the system's
  std::chrono::milliseconds connect_timeout{5'000};
};

// Ok when `on_data` has returned false or `stop` is set (which is looked at
// about once a second). kUnavailable: no connection, another status than 200,
// or the other side has ended it.
Status StreamHttp(const StreamRequest& request,
                  const std::function<bool(ByteSpan)>& on_data,
                  const std::atomic<bool>& stop);

}  // namespace morsel
