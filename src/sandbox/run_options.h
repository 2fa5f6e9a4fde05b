// SPDX-License-Identifier: Apache-2.0
// What the command line of `morsel run` asks for. The words and their meaning
// are docker's; what a container gets where nothing is said is too, except
// that the network is `none`.
//
// Thread safety: values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace morsel {

// -v HOST:CONTAINER[:ro]
struct BindMount {
  std::string host_path;       // absolute
  std::string container_path;  // absolute
  bool read_only = false;

  // kInvalid unless both paths are absolute and the option is "ro" or "rw".
  static Result<BindMount> Parse(std::string_view text);
};

enum class Network {
  kNone,  // a namespace of its own with the loopback device
  kHost,  // the host's network, with its resolv.conf and hosts
};

struct RunOptions {
  std::vector<std::string> args;          // in place of the image's cmd
  std::optional<std::string> entrypoint;  // in place of the image's; the
                                          // image's cmd is dropped then too
  std::vector<std::string> env;           // "NAME=value", or "NAME": the
                                          // caller's own value
  std::string user;                       // "": the image's
  std::string working_dir;                // "": the image's
  uint64_t memory_bytes = 0;              // 0: no limit
  double cpus = 0;                        // 0: no limit
  int64_t pids_limit = 0;                 // 0: no limit
  std::string hostname;                   // "": the container's id, or with
                                          // Network::kHost the host's
  bool read_only = false;                 // the root
  Network network = Network::kNone;
  std::vector<BindMount> binds;
  // How long the command runs: then it gets SIGTERM, and from 2 s later on
  // SIGKILL until it has ended.
  std::optional<std::chrono::milliseconds> time_limit;
  bool output_to_stderr = false;  // what it writes to standard output
  bool terminal = false;          // -t: standard input must be one
  bool interactive = false;       // -i: else standard input is empty
  std::vector<std::string> add_capabilities;   // "NET_ADMIN", "ALL"
  std::vector<std::string> drop_capabilities;  // dropped first
};

// docker's default set without `drop`, with `add`: "CAP_CHOWN", ..., sorted.
// "ALL" is every capability that this process may give.
// kInvalid for a name that is none.
Result<std::vector<std::string>> EffectiveCapabilities(
    const std::vector<std::string>& add, const std::vector<std::string>& drop);

}  // namespace morsel
