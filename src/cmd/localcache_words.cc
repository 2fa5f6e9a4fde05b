// SPDX-License-Identifier: Apache-2.0
#include "cmd/localcache_words.h"

#include <fcntl.h>
#include <getopt.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/config.h"
#include "localcache/arena_file.h"
#include "origin/lease.h"
#include "origin/records.h"
#include "store/s3_address.h"

namespace morsel {
namespace {

Result<uint64_t> ParseNumber(const std::string& name, std::string_view text,
                             uint64_t most) {
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > most)
    return MakeError(Code::kInvalid, "--" + name + ": '" + std::string(text) +
                                         "' is no number from 0 to " +
                                         std::to_string(most));
  return value;
}

// Takes an inherited descriptor over.
Result<Fd> ParseFd(const std::string& name, std::string_view text) {
  ASSIGN_OR_RETURN(const uint64_t number, ParseNumber(name, text, 1 << 20));
  const int fd = static_cast<int>(number);
  if (fd <= STDERR_FILENO || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
    return MakeError(Code::kInvalid, "--" + name + ": " + std::string(text) +
                                         " is no open descriptor");
  return Fd(fd);
}

Status SetWord(LocalCacheWords& words, const std::string& name,
               const char* value) {
  constexpr uint64_t kMost32 = std::numeric_limits<int32_t>::max();
  if (name == "config") {
    words.config_path = value;
  } else if (name == "origin") {
    words.origin = value;
  } else if (name == "arena-path") {
    words.arena_path = value;
  } else if (name == "memory-bytes") {
    ASSIGN_OR_RETURN(words.memory_bytes,
                     ParseNumber(name, value, uint64_t{1} << 46));
  } else if (name == "origin-requests") {
    ASSIGN_OR_RETURN(const uint64_t count, ParseNumber(name, value, 1024));
    words.origin_requests = static_cast<uint32_t>(std::max(count, uint64_t{1}));
  } else if (name == "uid") {
    ASSIGN_OR_RETURN(const uint64_t uid, ParseNumber(name, value, kMost32));
    words.uid = static_cast<uid_t>(uid);
  } else if (name == "manifest") {
    words.manifest_id = value;
  } else if (name == "root") {
    words.root = value;
  } else if (name == "worker") {
    words.worker = HolderNameOf(value);
  } else if (name == "client-fd") {
    ASSIGN_OR_RETURN(words.client, ParseFd(name, value));
  } else if (name == "control-fd") {
    ASSIGN_OR_RETURN(words.control, ParseFd(name, value));
  } else {
    ASSIGN_OR_RETURN(words.arena, ParseFd(name, value));
  }
  return Ok();
}

Status CheckPrivate(const LocalCacheWords& words) {
  if (!words.config_path.empty())
    return MakeError(Code::kInvalid, "--config is for the shared daemon alone");
  if (words.origin.empty() || words.memory_bytes == 0)
    return MakeError(Code::kInvalid, "--origin and --memory-bytes are needed");
  if (!words.client && !words.control)
    return MakeError(Code::kInvalid,
                     "--client-fd or --control-fd is needed: nobody could ask");
  if (words.manifest_id.empty() != words.root.empty())
    return MakeError(Code::kInvalid, "--manifest and --root go together");
  if (!words.manifest_id.empty() &&
      (!IsManifestId(words.manifest_id) || !IsRootId(words.root)))
    return MakeError(Code::kInvalid, "--manifest or --root is no such id");
  if (words.arena && !words.arena_path.empty())
    return MakeError(Code::kInvalid, "--arena-fd or --arena-path, not both");
  return Ok();
}

Status FillFromSettings(LocalCacheWords& words) {
  ASSIGN_OR_RETURN(const Config config, Config::Load(words.config_path));
  words.is_shared = true;
  words.worker = HolderNameOf(config.WorkerName());
  words.origin = OriginAddress(config);
  words.memory_bytes = config.SizeBytes("local_cache.memory_bytes");
  words.origin_requests = static_cast<uint32_t>(std::clamp<int64_t>(
      config.Integer("local_cache.origin_requests"), 1, 1024));
  if (geteuid() == 0)
    words.uid = static_cast<uid_t>(config.Integer("local_cache.uid"));
  words.gid = static_cast<gid_t>(config.Integer("local_cache.gid"));
  words.socket_path = config.Text("local_cache.socket");
  if (words.socket_path.empty())
    return MakeError(Code::kInvalid,
                     "local_cache.socket is not set, so no agent would ask "
                     "this daemon: set it, e.g. to " +
                         config.RunDir() + "/localcache.sock");
  words.arena_path = config.Text("local_cache.arena");
  if (words.arena_path.empty())
    words.arena_path = DefaultArenaPath(config.RunDir());
  ASSIGN_OR_RETURN_AS(words.policy,
                      ParsePolicyKind(config.Text("cache.policy")),
                      "setting cache.policy");
  words.flash_dir = config.Text("local_cache.flash_dir");
  words.flash_bytes = config.SizeBytes("local_cache.flash_bytes");
  words.metrics_listen = config.Text("metrics.listen");
  return Ok();
}

}  // namespace

Result<LocalCacheWords> ParseLocalCacheWords(int argc, char** argv) {
  constexpr std::array<const char*, 12> kNames{
      "origin",    "arena-path", "memory-bytes", "origin-requests",
      "uid",       "manifest",   "root",         "worker",
      "client-fd", "control-fd", "arena-fd",     "config"};
  std::array<option, kNames.size() + 1> options{};
  for (size_t i = 0; i < kNames.size(); ++i)
    options[i] = {kNames[i], required_argument, nullptr, 0};
  LocalCacheWords words;
  int index = 0;
  int found = 0;
  int count = 0;
  while ((found = getopt_long(argc, argv, "", options.data(), &index)) == 0) {
    RETURN_IF_ERROR(SetWord(words, kNames[static_cast<size_t>(index)], optarg));
    ++count;
  }
  if (found != -1 || optind != argc)
    return MakeError(Code::kInvalid, "what is not an option is not known");
  const bool is_shared =
      count == 0 || (count == 1 && !words.config_path.empty());
  RETURN_IF_ERROR(is_shared ? FillFromSettings(words) : CheckPrivate(words));
  return words;
}

Result<LocalCacheTuning> ReadLocalCacheTuning(const std::string& config_path) {
  ASSIGN_OR_RETURN(const Config config, Config::Load(config_path));
  return LocalCacheTuning{
      static_cast<uint32_t>(config.Integer("local_cache.max_starting")),
      config.Text("local_cache.origin_trial")};
}

}  // namespace morsel
