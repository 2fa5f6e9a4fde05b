// SPDX-License-Identifier: Apache-2.0
#include "zonecache/open_client.h"

#include "base/log.h"
#include "net/tls.h"

namespace morsel {
namespace {

Result<uint32_t> SmallNumber(const Config& config, std::string_view key) {
  const int64_t value = config.Integer(key);
  if (value > 1'000'000)
    return MakeError(Code::kInvalid, "setting " + std::string(key) + ": " +
                                         std::to_string(value) +
                                         " is too large");
  return static_cast<uint32_t>(value);
}

std::chrono::milliseconds Milliseconds(const Config& config,
                                       std::string_view key) {
  return std::chrono::milliseconds(
      static_cast<int64_t>(config.Seconds(key) * 1000));
}

// Null without TLS.
Result<StreamMaker> MakerOf(const Config& config) {
  if (config.Text("zone_cache.tls_ca").empty()) return StreamMaker();
  ASSIGN_OR_RETURN_AS(std::shared_ptr<const TlsContext> context,
                      TlsContext::Load(TlsContext::Side::kClient,
                                       {config.Text("zone_cache.tls_ca"),
                                        config.Text("zone_cache.tls_cert"),
                                        config.Text("zone_cache.tls_key")}),
                      "settings zone_cache.tls_*");
  return StreamMaker(
      [context = std::move(context)](Fd socket, const std::string& host) {
        return context->MakeStream(std::move(socket), host);
      });
}

}  // namespace

bool HasZoneCache(const Config& config) {
  return !config.Text("zone_cache.nodes").empty() ||
         !config.Text("zone_cache.etcd").empty();
}

EtcdOptions EtcdOptionsOf(const Config& config) {
  return {.url = config.Text("zone_cache.etcd"),
          .prefix = config.Text("zone_cache.etcd_prefix"),
          .ca_file = config.Text("zone_cache.tls_ca")};
}

Result<ZoneCache> OpenZoneCache(const Config& config, Clock& clock) {
  StripedOptions options;
  ASSIGN_OR_RETURN(options.k, SmallNumber(config, "zone_cache.k"));
  ASSIGN_OR_RETURN(options.r, SmallNumber(config, "zone_cache.r"));
  ASSIGN_OR_RETURN(options.put_queue,
                   SmallNumber(config, "zone_cache.put_queue"));
  options.timeout = Milliseconds(config, "zone_cache.timeout");
  ASSIGN_OR_RETURN(StreamMaker maker, MakerOf(config));
  ZoneCache cache;
  ASSIGN_OR_RETURN_AS(cache.source,
                      StripedSource::Make(options, std::move(maker), clock),
                      "settings zone_cache.k and zone_cache.r");
  if (config.Text("zone_cache.etcd").empty()) {
    RETURN_IF_ERROR(ReloadZoneNodes(config, *cache.source));
    return cache;
  }
  ASSIGN_OR_RETURN(
      cache.membership,
      EtcdMembership::Watch(EtcdOptionsOf(config),
                            [source = cache.source.get()](const auto& nodes) {
                              source->SetNodes(nodes);
                            }));
  return cache;
}

Status ReloadZoneNodes(const Config& config, StripedSource& source) {
  if (!config.Text("zone_cache.etcd").empty()) return Ok();
  ASSIGN_OR_RETURN_AS(const std::vector<NodeSpec> nodes,
                      ParseNodes(config.Text("zone_cache.nodes")),
                      "setting zone_cache.nodes");
  source.SetNodes(nodes);
  LogInfo("zone cache nodes", {{"count", nodes.size()}});
  return Ok();
}

}  // namespace morsel
