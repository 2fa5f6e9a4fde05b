// SPDX-License-Identifier: Apache-2.0
// The guard's control socket, DEVICE_DIR/control: who may enter the folder may
// ask for a newer program, or for a connection to the device's own local cache.
// One request and one answer, both JSON, a connection:
//
//   {"upgrade": PATH}     the absolute path of a morsel-agent
//   {"guard", "child", "cache"}     their process ids, once the new ones serve
//   {"cache": true}
//   one byte, with a socket on which the daemon awaits a `stat`
//   {"error": {"code", "message"}}
//
// Thread safety: free functions, for the guard's one thread.
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/json.h"
#include "base/result.h"

namespace morsel {

// A listener; none, with a line in the log, if there cannot be one.
Fd OpenControl(const std::string& device_dir);

struct ControlRequest {
  Fd client;
  std::string program;  // empty: he asks for the local cache
};
// Who has just connected, if he asks what can be done; else he is answered.
std::optional<ControlRequest> TakeRequest(int listener);

// `client` may be gone.
void Reply(const Fd& client, const Json& answer);

}  // namespace morsel
