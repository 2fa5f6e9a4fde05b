// SPDX-License-Identifier: Apache-2.0
// What the tests of the zone cache share: real servers on loopback.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/result.h"

namespace morsel {

// A server of the memcached protocol that a test starts and stops.
class TestServer {
 public:
  virtual ~TestServer() = default;
  virtual std::string address() const = 0;
};

// memcached itself. kNotFound if it is not installed.
Result<std::unique_ptr<TestServer>> StartMemcached();

// A node of ours, in this process: the real server, over the real cache.
Result<std::unique_ptr<TestServer>> StartNode();

// Sends `request` and gives what comes until a line begins with one of the
// words that end a reply (END, STORED, ...). For looking behind the client.
Result<std::string> AskServer(const std::string& address,
                              const std::string& request);

}  // namespace morsel
