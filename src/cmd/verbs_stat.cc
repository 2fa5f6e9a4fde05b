// SPDX-License-Identifier: Apache-2.0
// `morsel stat` and `morsel top`: what the tiers of the local cache gave and
// what each device loaded, once or again and again.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "base/clock.h"
#include "base/parallel.h"
#include "block/device_stats.h"
#include "cmd/verbs.h"
#include "localcache/shared_client.h"
#include "sandbox/agent_process.h"
#include "sandbox/device.h"
#include "sandbox/device_folder.h"

namespace morsel {
namespace {

constexpr std::chrono::seconds kPatience(5);
constexpr size_t kAskedAtOnce = 64;

// What the device's own local cache counts; null if it uses the shared one, or
// there is none that answers.
Json PrivateCacheJson(const DeviceFolder& folder) {
  const Result<Json> agent = folder.Read("agent.json");
  if (!agent.ok() || !ProcessMark::FromJson(*agent, "cache").IsAlive())
    return {};
  const Deadline deadline = SystemClock().Now() + kPatience;
  const Result<Fd> socket = ConnectToPrivateCache(folder, deadline);
  if (!socket.ok()) return {};
  Result<Json> report = AskForReport(*socket, deadline);
  return report.ok() ? std::move(report).value() : Json();
}

Json DeviceJson(const Config& config, const AttachedDevice& device) {
  Json json = device.ToJson();
  const DeviceFolder folder(config, device.id);
  json["local_cache"] = PrivateCacheJson(folder);
  const auto stats = ReadDeviceStats(folder.path());
  if (!stats.ok()) return json;
  json["reads"] = stats->reads;
  json["read_bytes"] = stats->read_bytes;
  json["writes"] = stats->writes;
  json["write_bytes"] = stats->write_bytes;
  json["errors"] = stats->errors;
  json["cache_hits"] = stats->cache_hits;
  json["cache_misses"] = stats->cache_misses;
  json["bytes_loaded"] = stats->bytes_loaded;
  json["chunks_loaded"] = stats->chunks_loaded;
  json["prefetched"] = stats->prefetched;
  return json;
}

// {"local_cache": what the shared one says, or null}, and why it says nothing.
Json SharedCacheJson(const Config& config) {
  Json json;
  json["local_cache"] = Json();
  const std::string& socket = config.Text("local_cache.socket");
  if (socket.empty()) return json;
  Result<Json> report = AskForReport(socket, SystemClock().Now() + kPatience);
  if (report.ok())
    json["local_cache"] = *std::move(report);
  else
    json["error"] = report.error().message;
  return json;
}

// {"local_cache": what the shared one says, or null; "devices": [...]}, where a
// device with a local cache of its own has what that says as "local_cache". All
// are asked at once, so that many that hang cost no more time than one.
Result<Json> Gather(Tool& tool) {
  const Config& config = tool.config();
  ASSIGN_OR_RETURN(const std::vector<AttachedDevice> devices,
                   ListDevices(config));
  Json shared;
  std::vector<Json> of_devices(devices.size());
  JobPool pool(std::min(devices.size() + 1, kAskedAtOnce), devices.size() + 1);
  RETURN_IF_ERROR(pool.Submit([&] {
    shared = SharedCacheJson(config);
    return Ok();
  }));
  for (size_t i = 0; i < devices.size(); ++i)
    RETURN_IF_ERROR(pool.Submit([&, i] {
      of_devices[i] = DeviceJson(config, devices[i]);
      return Ok();
    }));
  RETURN_IF_ERROR(pool.Finish());
  shared["devices"] = Json(Json::Array());
  for (Json& device : of_devices) shared["devices"].Append(std::move(device));
  return shared;
}

std::string Size(const Json& json, std::string_view key) {
  return HumanSize(static_cast<uint64_t>(json.IntOr(key, 0)));
}

std::string Line(const std::array<std::string, 8>& words) {
  std::string line;
  for (size_t i = 0; i < words.size(); ++i) {
    std::array<char, 64> cell;
    const int width = i == 0 ? -12 : 12;
    std::snprintf(cell.data(), cell.size(), "%*s", width, words[i].c_str());
    line += cell.data();
  }
  return line + "\n";
}

std::string Number(const Json& json, std::string_view key) {
  return std::to_string(json.IntOr(key, 0));
}

std::string CacheText(const Json& cache) {
  std::string text = "local cache: " + Number(cache, "arena_chunks") +
                     " chunks, " + Size(cache, "arena_bytes") + " of " +
                     Size(cache, "arena_limit_bytes") + "; " +
                     Number(cache, "clients") + " clients, " +
                     Number(cache, "starting") + " starting, " +
                     Number(cache, "refused_starts") + " refused; " +
                     Number(cache, "repairs") + " repairs\n";
  text += "leases: " + Number(cache, "leases") + " held, " +
          Number(cache, "lease_errors") + " failures; " +
          Number(cache, "moved_images") + " images followed, " +
          Number(cache, "alarms") + " alarms\n";
  text += Line({"tier", "hits", "misses", "bytes", "damaged", "fallbacks",
                "p50 us", "p99 us"});
  const Json* tiers = cache.Find("tiers");
  if (tiers == nullptr || tiers->AsArray() == nullptr) return text;
  for (const Json& tier : *tiers->AsArray()) {
    const Json* latency = tier.Find("latency");
    const Json none;
    const Json& times = latency == nullptr ? none : *latency;
    text += Line({tier.StringOr("tier", ""), Number(tier, "hits"),
                  Number(tier, "misses"), Size(tier, "bytes"),
                  Number(tier, "corrupt"), Number(tier, "errors"),
                  Number(times, "p50_us"), Number(times, "p99_us")});
  }
  const Json* zone = cache.Find("zone_cache");
  if (zone == nullptr) return text;
  int64_t down = 0;
  const Json* nodes = zone->Find("nodes");
  const bool has_nodes = nodes != nullptr && nodes->AsArray() != nullptr;
  if (has_nodes)
    for (const Json& node : *nodes->AsArray())
      down += node.BoolOr("down", false);
  return text + "zone cache: " +
         std::to_string(has_nodes ? nodes->AsArray()->size() : 0) + " nodes, " +
         std::to_string(down) +
         " down; stripes: " + Number(*zone, "stripes_added") + " added, " +
         Number(*zone, "stripes_bad") + " damaged, " +
         Number(*zone, "stripes_repaired") + " repaired\n";
}

// A line of a private local cache: of its tiers the origin is the only one
// behind the arena.
std::string OwnCacheText(const Json& cache) {
  std::string text = "  own local cache: " + Number(cache, "arena_chunks") +
                     " chunks, " + Size(cache, "arena_bytes") + " of " +
                     Size(cache, "arena_limit_bytes");
  const Json* tiers = cache.Find("tiers");
  if (tiers == nullptr || tiers->AsArray() == nullptr) return text + "\n";
  for (const Json& tier : *tiers->AsArray()) {
    const Json* times = tier.Find("latency");
    if (tier.StringOr("tier", "") != "origin" || times == nullptr) continue;
    text += "; origin: " + Number(tier, "hits") + " chunks, " +
            Number(tier, "corrupt") + " damaged, " + Number(tier, "errors") +
            " failures, p50 " + Number(*times, "p50_us") + " us, p99 " +
            Number(*times, "p99_us") + " us";
  }
  return text + "\n";
}

std::string DevicesText(const Json& devices) {
  if (devices.AsArray()->empty()) return "no device is attached\n";
  std::string text = Line({"device", "reads", "read", "writes", "written",
                           "hits", "misses", "loaded"});
  for (const Json& device : *devices.AsArray()) {
    text +=
        Line({device.StringOr("id", ""), Number(device, "reads"),
              Size(device, "read_bytes"), Number(device, "writes"),
              Size(device, "write_bytes"), Number(device, "cache_hits"),
              Number(device, "cache_misses"), Size(device, "bytes_loaded")});
    text += "  " + device.StringOr("image", "") +
            (device.BoolOr("alive", true) ? "" : "  (dead)") + "\n";
    const Json* cache = device.Find("local_cache");
    if (cache != nullptr && !cache->is_null()) text += OwnCacheText(*cache);
  }
  return text;
}

std::string Text(const Json& json) {
  const Json* cache = json.Find("local_cache");
  std::string text;
  if (json.Find("error") != nullptr)
    text = json.StringOr("error", "") + "\n";
  else if (cache->is_null())
    text = "no shared local cache is configured (local_cache.socket)\n";
  else
    text = CacheText(*cache);
  return text + "\n" + DevicesText(*json.Find("devices"));
}

Result<int64_t> Count(const Arguments& arguments, std::string_view name,
                      int64_t otherwise) {
  const std::string text = arguments.Get(name);
  if (text.empty()) return otherwise;
  int64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1)
    return MakeError(Code::kInvalid, "--" + std::string(name) + ": '" + text +
                                         "' is no number from 1 on");
  return value;
}

}  // namespace

Result<int> RunStat(Tool& tool, const Arguments&) {
  ASSIGN_OR_RETURN(const Json json, Gather(tool));
  tool.Print(json, "", Text(json));
  return 0;
}

Result<int> RunTop(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const int64_t seconds, Count(arguments, "interval", 1));
  ASSIGN_OR_RETURN(int64_t left, Count(arguments, "count", INT64_MAX));
  const bool draws = !tool.json() && ::isatty(STDOUT_FILENO) != 0;
  while (true) {
    ASSIGN_OR_RETURN(const Json json, Gather(tool));
    if (tool.json()) {
      std::printf("%s\n", json.Dump().c_str());
    } else {
      // From the top left corner, and nothing of before below it.
      std::printf("%s%s", draws ? "\033[H\033[J" : "", Text(json).c_str());
    }
    if (std::fflush(stdout) != 0) return 0;
    if (--left <= 0) return 0;
    ::poll(nullptr, 0, static_cast<int>(seconds * 1000));
  }
}

}  // namespace morsel
