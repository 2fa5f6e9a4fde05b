// SPDX-License-Identifier: Apache-2.0
#include "base/config.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "base/bytes.h"
#include "base/fd.h"

namespace morsel {
namespace {

using Type = ConfigKey::Type;

constexpr auto kKeys = std::to_array<ConfigKey>({
    {"state_dir", Type::kText, "",
     "where state lies; /var/lib/morsel, or below $XDG_STATE_HOME"},
    {"run_dir", Type::kText, "",
     "where sockets and attached devices lie; /run/morsel"},
    {"origin", Type::kText, "",
     "where images are kept: a folder, or s3://bucket; STATE_DIR/origin"},
    {"key_file", Type::kText, "",
     "the key file of the key service; STATE_DIR/key"},
    {"worker", Type::kText, "",
     "this machine's name in leases and alarms, its own; the host's name"},
    {"io_timeout", Type::kSeconds, "60",
     "how long a read waits for its chunk before it fails with EIO"},
    {"convert.threads", Type::kInteger, "0",
     "threads that hash and seal; 0 is one for each core"},
    {"convert.placement", Type::kText, "",
     "placement label of the roots to convert into, such as a zone"},
    {"convert.tenant", Type::kText, "",
     "class of tenants whose roots to convert into: it shares with no other"},
    {"cache.policy", Type::kText, "lru-k",
     "who makes room in shared caches: lru-k, lru, fifo, s3-fifo, sieve"},
    {"local_cache.memory_bytes", Type::kSize, "1GiB",
     "hard limit of the local cache's memory (the arena)"},
    {"local_cache.socket", Type::kText, "",
     "the shared local cache's socket; unset: each device has its own cache"},
    {"local_cache.gid", Type::kInteger, "0",
     "group that may use the shared local cache beside root"},
    {"local_cache.arena", Type::kText, "",
     "the shared arena, on a tmpfs; in run_dir or /dev/shm"},
    {"local_cache.flash_dir", Type::kText, "",
     "folder of the flash tier behind the arena; unset: none"},
    {"local_cache.flash_bytes", Type::kSize, "8GiB",
     "hard limit of the flash tier"},
    {"local_cache.max_starting", Type::kInteger, "64",
     "devices younger than 30 s at once: a further start is refused; 0: none"},
    {"local_cache.origin_requests", Type::kInteger, "16",
     "requests to the origin in flight at once"},
    {"local_cache.origin_trial", Type::kText, "",
     "to try things: down, delay=MS, flip=PART; how the origin behaves"},
    {"local_cache.uid", Type::kInteger, "64642",
     "user id that the local cache runs as, if started by root"},
    {"agent.uid", Type::kInteger, "64641",
     "user id that the agent's child runs as, if started by root"},
    {"agent.threads", Type::kInteger, "8",
     "requests of a device that are served at once"},
    {"agent.prefetch_bytes", Type::kSize, "256MiB",
     "how much of an image's startup profile is loaded ahead; 0: nothing"},
    {"gc.min_retired", Type::kSeconds, "86400",
     "how long a root stays retired at least: longer than any convert takes"},
    {"gc.interval", Type::kSeconds, "3600",
     "time between two passes of `morsel gc run --daemon`"},
    {"gc.popular_manifests", Type::kInteger, "1000",
     "a chunk that so many manifests of a root name is popular; 0: none is"},
    {"gc.popular_variants", Type::kInteger, "16",
     "salts, and so objects, over which a popular chunk is spread"},
    {"gc.deletes_per_second", Type::kInteger, "500",
     "deletions of a collector in a second, at most; 0: without limit"},
    {"gc.requests", Type::kInteger, "8",
     "requests of a collector to the origin in flight at once"},
    {"metrics.listen", Type::kText, "",
     "where a daemon serves Prometheus: ADDRESS:PORT or unix:PATH; off"},
    {"keys.provider", Type::kText, "file",
     "the key service: file (key_file), or aws-kms (kms.key)"},
    {"kms.key", Type::kText, "",
     "key of KMS that wraps: its id, its ARN, or alias/NAME"},
    {"kms.region", Type::kText, "",
     "region of the key; $AWS_REGION, $AWS_DEFAULT_REGION, us-east-1"},
    {"kms.endpoint", Type::kText, "",
     "URL of the key service, if it is not Amazon's of kms.region"},
    {"kms.ca_file", Type::kText, "",
     "certificates (PEM) of the CAs of the key service, in the place of the "
     "system's"},
    {"kms.profile", Type::kText, "",
     "profile in ~/.aws/credentials or ~/.aws/config to use"},
    {"s3.endpoint", Type::kText, "",
     "URL of the S3 service, if it is not Amazon's of s3.region"},
    {"s3.region", Type::kText, "",
     "region of the bucket; $AWS_REGION, $AWS_DEFAULT_REGION, us-east-1"},
    {"s3.style", Type::kText, "auto",
     "where the bucket stands in a URL: path, virtual (host), auto"},
    {"s3.ca_file", Type::kText, "",
     "certificates (PEM) of the CAs of the service, in the place of the "
     "system's"},
    {"s3.profile", Type::kText, "",
     "profile in ~/.aws/credentials or ~/.aws/config to use"},
    {"s3.timeout", Type::kSeconds, "30", "how long a request may take"},
    {"s3.connections", Type::kInteger, "64",
     "requests to the service in flight at once"},
    {"s3.multipart_bytes", Type::kSize, "64MiB",
     "a longer object is stored in parts of this size"},
    {"zone_cache.nodes", Type::kText, "",
     "nodes of the zone cache: HOST:PORT[*WEIGHT], ...; none"},
    {"zone_cache.etcd", Type::kText, "",
     "URL of an etcd that lists the nodes, in the place of zone_cache.nodes"},
    {"zone_cache.etcd_prefix", Type::kText, "/morsel/zone/",
     "below which keys of etcd the nodes stand"},
    {"zone_cache.k", Type::kInteger, "4",
     "stripes of which a chunk is rebuilt"},
    {"zone_cache.r", Type::kInteger, "1", "parity stripes beside them"},
    {"zone_cache.timeout", Type::kSeconds, "0.25",
     "how long a read waits for the zone cache before the origin is asked"},
    {"zone_cache.put_queue", Type::kInteger, "64",
     "chunks that wait to be put into the zone cache; more are dropped"},
    {"zone_cache.tls_ca", Type::kText, "",
     "certificate of the authority (PEM); set: the nodes are spoken to by TLS"},
    {"zone_cache.tls_cert", Type::kText, "", "this worker's certificate (PEM)"},
    {"zone_cache.tls_key", Type::kText, "", "the private key of tls_cert"},
    {"zone_node.listen", Type::kText, "127.0.0.1:11311",
     "where a node of the zone cache listens: ADDRESS:PORT"},
    {"zone_node.memory_bytes", Type::kSize, "1GiB",
     "hard limit of a node's memory tier"},
    {"zone_node.flash_path", Type::kText, "",
     "file of a node's flash tier; none"},
    {"zone_node.flash_bytes", Type::kSize, "16GiB",
     "hard limit of a node's flash tier"},
    {"zone_node.threads", Type::kInteger, "0",
     "threads that serve; 0 is two for each core, and at least four"},
    {"zone_node.max_connections", Type::kInteger, "1024",
     "connections of a node; more are closed as they come"},
    {"zone_node.tls_ca", Type::kText, "",
     "certificate of the authority that signs workers (PEM); set: TLS alone"},
    {"zone_node.tls_cert", Type::kText, "", "the node's certificate (PEM)"},
    {"zone_node.tls_key", Type::kText, "", "the private key of tls_cert"},
    {"zone_node.operator", Type::kText, "morsel-operator",
     "common name of the certificate that may delete and flush"},
    {"zone_node.plain", Type::kText, "loopback",
     "where it listens without TLS: loopback, or anywhere"},
    {"zone_node.advertise", Type::kText, "",
     "the address that zone_cache.etcd shall list for this node"},
    {"zone_node.weight", Type::kText, "1",
     "this node's share relative to the others, for zone_cache.etcd"},
    {"overlay.max_bytes", Type::kSize, "16GiB",
     "the most that a device's writes may take on this machine's disk"},
});

const ConfigKey* FindKey(std::string_view name) {
  const auto it = std::find_if(kKeys.begin(), kKeys.end(),
                               [&](const auto& k) { return k.name == name; });
  return it == kKeys.end() ? nullptr : &*it;
}

Result<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0)
    return MakeError(Code::kInvalid,
                     "'" + std::string(text) + "' is not a whole number");
  return value;
}

Status CheckType(const ConfigKey& key, const std::string& value) {
  const std::string where = "setting " + std::string(key.name);
  switch (key.type) {
    case Type::kText:
      return Ok();
    case Type::kInteger:
      RETURN_IF_ERROR_AS(ParseInteger(value), where);
      return Ok();
    case Type::kSize:
      RETURN_IF_ERROR_AS(ParseSize(value), where);
      return Ok();
    case Type::kSeconds:
      RETURN_IF_ERROR_AS(ParseSeconds(value), where);
      return Ok();
  }
  return Ok();
}

std::string EnvironmentName(std::string_view key) {
  std::string name = "MORSEL_";
  for (const char c : key)
    name.push_back(c == '.' ? '_' : static_cast<char>(std::toupper(c)));
  return name;
}

// A TOML scalar as text.
std::optional<std::string> ScalarText(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer())
    return std::to_string(number->get());
  if (const auto* real = node.as_floating_point()) {
    std::ostringstream out;
    out << real->get();
    return out.str();
  }
  return std::nullopt;
}

Status ReadTable(const toml::table& table, const std::string& prefix,
                 const std::string& path, Config& config) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const std::string where =
        path + ":" + std::to_string(node.source().begin.line);
    if (const toml::table* inner = node.as_table()) {
      RETURN_IF_ERROR(ReadTable(*inner, name + ".", path, config));
      continue;
    }
    const std::optional<std::string> text = ScalarText(node);
    if (!text)
      return MakeError(Code::kInvalid,
                       where + ": " + name + " must be text or a number");
    RETURN_IF_ERROR_AS(config.Set(name, *text), where);
  }
  return Ok();
}

Status ReadFile(const std::string& path, Config& config) {
  ASSIGN_OR_RETURN_AS(const Bytes bytes, ReadWholeFile(path, kMiB),
                      "config file");
  try {
    const toml::table table = toml::parse(AsText(bytes), path);
    return ReadTable(table, "", path, config);
  } catch (const toml::parse_error& error) {
    return MakeError(Code::kInvalid,
                     path + ":" + std::to_string(error.source().begin.line) +
                         ": " + std::string(error.description()));
  }
}

}  // namespace

std::span<const ConfigKey> Config::Keys() { return kKeys; }

Result<Config> Config::Load(const std::string& path) {
  Config config;
  for (const ConfigKey& key : kKeys)
    config.values_[std::string(key.name)] = key.default_value;
  const char* named = std::getenv("MORSEL_CONFIG");
  std::string file = path;
  if (file.empty() && named != nullptr) file = named;
  if (!file.empty()) {
    RETURN_IF_ERROR(ReadFile(file, config));
  } else if (std::filesystem::exists("/etc/morsel/config.toml")) {
    RETURN_IF_ERROR(ReadFile("/etc/morsel/config.toml", config));
  }
  for (const ConfigKey& key : kKeys) {
    const std::string variable = EnvironmentName(key.name);
    if (const char* value = std::getenv(variable.c_str()))
      RETURN_IF_ERROR_AS(config.Set(key.name, value),
                         "environment variable " + variable);
  }
  return config;
}

Status Config::Set(std::string_view key, std::string value) {
  const ConfigKey* known = FindKey(key);
  if (known == nullptr)
    return MakeError(Code::kInvalid, "unknown setting " + std::string(key));
  RETURN_IF_ERROR(CheckType(*known, value));
  values_[std::string(key)] = std::move(value);
  return Ok();
}

const std::string& Config::Text(std::string_view key) const {
  const auto it = values_.find(key);
  CHECK(it != values_.end());
  return it->second;
}

int64_t Config::Integer(std::string_view key) const {
  return ParseInteger(Text(key)).value();
}

uint64_t Config::SizeBytes(std::string_view key) const {
  return ParseSize(Text(key)).value();
}

double Config::Seconds(std::string_view key) const {
  return ParseSeconds(Text(key)).value();
}

namespace {

std::string UserFolder(const char* variable, const std::string& fallback) {
  const char* value = std::getenv(variable);
  if (value != nullptr && value[0] == '/')
    return std::string(value) + "/morsel";
  const char* home = std::getenv("HOME");
  return std::string(home == nullptr ? "/tmp" : home) + fallback + "/morsel";
}

}  // namespace

std::string Config::StateDir() const {
  if (!Text("state_dir").empty()) return Text("state_dir");
  if (::geteuid() == 0) return "/var/lib/morsel";
  return UserFolder("XDG_STATE_HOME", "/.local/state");
}

std::string Config::RunDir() const {
  if (!Text("run_dir").empty()) return Text("run_dir");
  if (::geteuid() == 0) return "/run/morsel";
  return UserFolder("XDG_RUNTIME_DIR", "/.cache");
}

std::string Config::Origin() const {
  if (!Text("origin").empty()) return Text("origin");
  return StateDir() + "/origin";
}

std::string Config::WorkerName() const {
  if (!Text("worker").empty()) return Text("worker");
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "";
  return name.data();
}

Result<double> ParseSeconds(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !std::isfinite(value) || value < 0)
    return MakeError(Code::kInvalid,
                     "'" + std::string(text) + "' is not a number of seconds");
  return value;
}

Result<uint64_t> ParseSize(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  unit.erase(std::remove(unit.begin(), unit.end(), ' '), unit.end());
  if (unit.size() > 1 && unit.substr(1) == "iB") unit.resize(1);
  static constexpr std::string_view kUnits = "KMGT";
  unsigned shift = 0;
  const size_t index =
      unit.size() == 1 ? kUnits.find(unit[0] & ~0x20) : std::string::npos;
  if (index != std::string::npos)
    shift = 10 * (static_cast<unsigned>(index) + 1);
  else if (!unit.empty() && unit != "B")
    return MakeError(Code::kInvalid,
                     "'" + std::string(text) + "' is not a size such as 64MiB");
  if (error != std::errc() || (value << shift) >> shift != value)
    return MakeError(Code::kInvalid,
                     "'" + std::string(text) + "' is not a size");
  return value << shift;
}

}  // namespace morsel
