// SPDX-License-Identifier: Apache-2.0
// Settings: command line over environment over file over default.
//
// A key such as `overlay.max_bytes` is read from the TOML file
// (/etc/morsel/config.toml, or what --config or MORSEL_CONFIG names), and is
// also the environment variable MORSEL_OVERLAY_MAX_BYTES. Every key has one
// row in the table of config.cc, with its type, default and help text;
// anything else in the file is an error that names its line.
//
// Thread safety: immutable after Load and Set.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace morsel {

struct ConfigKey {
  enum class Type { kText, kInteger, kSize, kSeconds };
  std::string_view name;
  Type type;
  std::string_view default_value;
  std::string_view help;
};

class Config {
 public:
  // Every key that exists, for documentation and checks.
  static std::span<const ConfigKey> Keys();
  // Reads `path` ("": MORSEL_CONFIG, else /etc/morsel/config.toml, which may
  // be missing), then the environment. kInvalid names file, line and key;
  // kNotFound if a file that was named is missing.
  static Result<Config> Load(const std::string& path);

  // From the command line. kInvalid if the value does not fit the key's type.
  Status Set(std::string_view key, std::string value);

  // Require: a key of the table, of that type.
  const std::string& Text(std::string_view key) const;
  int64_t Integer(std::string_view key) const;
  uint64_t SizeBytes(std::string_view key) const;  // "64MiB", "4096"
  double Seconds(std::string_view key) const;

  // Where state and sockets lie: `state_dir` and `run_dir` as set, else
  // /var/lib/morsel and /run/morsel for root, and below $XDG_STATE_HOME and
  // $XDG_RUNTIME_DIR for others.
  std::string StateDir() const;
  std::string RunDir() const;
  // `origin` as set, else StateDir()/origin.
  std::string Origin() const;
  // `worker` as set, else the host's name.
  std::string WorkerName() const;

 private:
  Config() = default;

  std::map<std::string, std::string, std::less<>> values_;
};

// "60", "0.25", "1e3": a decimal number that is not negative, and nothing
// around it. kInvalid otherwise.
Result<double> ParseSeconds(std::string_view text);
// "1536", "64KiB", "2 GiB", "1G" (binary units). kInvalid otherwise.
Result<uint64_t> ParseSize(std::string_view text);

}  // namespace morsel
