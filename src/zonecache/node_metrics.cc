// SPDX-License-Identifier: Apache-2.0
#include "zonecache/node_metrics.h"

namespace morsel {
namespace {

void ExportCommands(Metrics& metrics, const NodeStats& s) {
  const auto total = [&](const char* name, const char* help,
                         const MetricLabels& labels, uint64_t value) {
    metrics.MakeCounter(name, help, labels).SetTotal(value);
  };
  const char* gets = "morsel_zone_node_gets_total";
  const char* get_help = "Values that were asked for, by how it ended.";
  total(gets, get_help, {{"result", "hit"}}, s.get_hits);
  total(gets, get_help, {{"result", "miss"}}, s.get_misses - s.get_errors);
  total(gets, get_help, {{"result", "lost"}}, s.get_errors);
  total("morsel_zone_node_sets_total", "Storage commands.", {}, s.sets);
  total("morsel_zone_node_set_failures_total",
        "Storage commands that found no memory.", {}, s.store_failures);
  total("morsel_zone_node_denied_total",
        "Commands that want the operator's certificate and had not.", {},
        s.denied);
  total("morsel_zone_node_protocol_errors_total",
        "Requests that are no memcached protocol.", {}, s.protocol_errors);
  total("morsel_zone_node_connections_total", "Connections that came.", {},
        s.connections);
  total("morsel_zone_node_connections_refused_total",
        "Connections over the limit.", {}, s.connections_refused);
  total("morsel_zone_node_received_bytes_total", "Bytes that came.", {},
        s.bytes_read);
  total("morsel_zone_node_sent_bytes_total", "Bytes that went out.", {},
        s.bytes_written);
  metrics
      .MakeGauge("morsel_zone_node_connections", "Connections that there are.")
      .Set(static_cast<int64_t>(s.connections_now));
}

void ExportTier(Metrics& metrics, const char* tier, uint64_t limit,
                uint64_t used, uint64_t items) {
  const MetricLabels labels{{"tier", tier}};
  const auto gauge = [&](const char* name, const char* help, uint64_t value) {
    metrics.MakeGauge(name, help, labels).Set(static_cast<int64_t>(value));
  };
  gauge("morsel_zone_node_limit_bytes", "Hard limit of the tier.", limit);
  gauge("morsel_zone_node_used_bytes", "Bytes that the tier takes.", used);
  gauge("morsel_zone_node_items", "Values in the tier.", items);
}

void ExportTraffic(Metrics& metrics, const char* tier, uint64_t hits,
                   uint64_t misses, uint64_t evictions) {
  const MetricLabels labels{{"tier", tier}};
  const auto total = [&](const char* name, const char* help, uint64_t value) {
    metrics.MakeCounter(name, help, labels).SetTotal(value);
  };
  total("morsel_zone_node_tier_hits_total", "Values found.", hits);
  total("morsel_zone_node_tier_misses_total", "Values not found.", misses);
  total("morsel_zone_node_evictions_total", "Values evicted.", evictions);
}

void ExportCache(Metrics& metrics, const TieredCacheStats& cache) {
  ExportTier(metrics, "memory", cache.memory.max_bytes, cache.memory.used_bytes,
             cache.memory.entry_count);
  ExportTraffic(metrics, "memory", cache.memory.hits, cache.memory.misses,
                cache.memory.evictions);
  if (!cache.flash) return;
  const FlashTierStats& flash = *cache.flash;
  ExportTier(metrics, "flash", flash.device_bytes, flash.live_bytes,
             flash.entry_count);
  ExportTraffic(metrics, "flash", flash.hits, flash.misses, flash.evictions);
  metrics
      .MakeCounter("morsel_zone_node_flash_written_bytes_total",
                   "Bytes that were written to flash.")
      .SetTotal(flash.written_bytes);
  metrics
      .MakeCounter("morsel_zone_node_flash_corrupt_total",
                   "Records on flash that were damaged and dropped.")
      .SetTotal(flash.corrupt);
  metrics
      .MakeCounter("morsel_zone_node_flash_dropped_total",
                   "Values that flash had no time for.")
      .SetTotal(flash.dropped);
  metrics
      .MakeGauge("morsel_zone_node_flash_failed",
                 "1 after a write error: flash is only read.")
      .Set(flash.failed ? 1 : 0);
}

}  // namespace

void ExportNodeMetrics(Metrics& metrics, NodeParts& node) {
  metrics.OnCollect([&metrics, &node] {
    ExportCommands(metrics, node.stats);
    ExportCache(metrics, node.cache.Stats());
  });
}

}  // namespace morsel
