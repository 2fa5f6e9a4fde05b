// SPDX-License-Identifier: Apache-2.0
#include "localcache/tier_metrics.h"

namespace morsel {
namespace {

const std::string kPrefix = "morsel_local_cache_";

int64_t Microseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

int64_t Number(const Counter& counter) {
  return static_cast<int64_t>(counter.value());
}

Json Percentiles(const Histogram& histogram) {
  Json json;
  json["p50_us"] = Microseconds(histogram.Quantile(0.5));
  json["p99_us"] = Microseconds(histogram.Quantile(0.99));
  json["p999_us"] = Microseconds(histogram.Quantile(0.999));
  return json;
}

}  // namespace

TierMetrics::TierMetrics(Metrics& metrics, const std::string& tier)
    : name(tier),
      hits(metrics.MakeCounter(kPrefix + "hits_total",
                               "Chunks that the tier gave.", {{"tier", tier}})),
      misses(metrics.MakeCounter(kPrefix + "misses_total",
                                 "Chunks that the tier did not have.",
                                 {{"tier", tier}})),
      bytes(metrics.MakeCounter(kPrefix + "bytes_total",
                                "Ciphertext that the tier gave.",
                                {{"tier", tier}})),
      corrupt(metrics.MakeCounter(
          kPrefix + "corrupt_total",
          "Damaged copies that the tier held; none was passed on.",
          {{"tier", tier}})),
      errors(metrics.MakeCounter(
          kPrefix + "errors_total",
          "Times that the tier did not answer and another way was taken.",
          {{"tier", tier}})),
      seconds(metrics.MakeHistogram(kPrefix + "tier_seconds",
                                    "How long the tier took for a chunk that "
                                    "it gave.",
                                    {{"tier", tier}})) {}

Json TierMetrics::ToJson() const {
  Json json;
  json["tier"] = name;
  json["hits"] = Number(hits);
  json["misses"] = Number(misses);
  json["bytes"] = Number(bytes);
  json["corrupt"] = Number(corrupt);
  json["errors"] = Number(errors);
  json["latency"] = Percentiles(seconds);
  return json;
}

LocalCacheMetrics::LocalCacheMetrics(Metrics& metrics)
    : all(metrics),
      arena(metrics, "arena"),
      flash(metrics, "flash"),
      zone_cache(metrics, "zone_cache"),
      origin(metrics, "origin"),
      requests(metrics.MakeCounter(kPrefix + "requests_total",
                                   "Chunks that clients asked for.")),
      raised(metrics.MakeCounter(kPrefix + "raised_total",
                                 "Queued prefetches that a read joined.")),
      healed(metrics.MakeCounter(
          kPrefix + "healed_total",
          "Chunks damaged in one tier and loaded from a later one.")),
      refused(metrics.MakeCounter(
          kPrefix + "refused_starts_total",
          "Devices that were refused: too many were starting.")),
      bad_messages(
          metrics.MakeCounter(kPrefix + "bad_messages_total",
                              "Clients that were cut off for what they sent.")),
      wait_seconds(metrics.MakeHistogram(
          kPrefix + "wait_seconds", "From a client's request to its answer.")),
      clients(metrics.MakeGauge(kPrefix + "clients", "Connections.")),
      starting(metrics.MakeGauge(kPrefix + "starting",
                                 "Devices younger than 30 s.")),
      queued(metrics.MakeGauge(kPrefix + "queued",
                               "Chunks that wait for the origin.")),
      origin_in_flight(metrics.MakeGauge(kPrefix + "origin_in_flight",
                                         "Requests to the origin.")),
      origin_in_flight_peak(metrics.MakeGauge(
          kPrefix + "origin_in_flight_peak",
          "The most requests to the origin at once since the start.")),
      arena_bytes(metrics.MakeGauge(kPrefix + "arena_bytes",
                                    "Memory that the arena takes.")),
      arena_limit_bytes(metrics.MakeGauge(kPrefix + "arena_limit_bytes",
                                          "The most that it may take.")),
      arena_chunks(
          metrics.MakeGauge(kPrefix + "arena_chunks", "Chunks in the arena.")),
      arena_evictions(metrics.MakeCounter(kPrefix + "arena_evictions_total",
                                          "Chunks that made room.")),
      flash_limit_bytes(
          metrics.MakeGauge(kPrefix + "flash_limit_bytes",
                            "The most that the flash tier takes.")),
      flash_chunks(
          metrics.MakeGauge(kPrefix + "flash_chunks", "Chunks on flash.")),
      flash_failed(metrics.MakeGauge(
          kPrefix + "flash_failed",
          "1 after a failed write: the flash tier is read only.")),
      flash_written_bytes(metrics.MakeCounter(
          kPrefix + "flash_written_bytes_total", "Written to flash.")),
      flash_moved_bytes(metrics.MakeCounter(
          kPrefix + "flash_moved_bytes_total",
          "Written to flash again, as it was hot when its segment went.")),
      flash_dropped(metrics.MakeCounter(
          kPrefix + "flash_dropped_total",
          "Chunks not written to flash, as its queue was full.")),
      leases(metrics.MakeGauge(kPrefix + "leases",
                               "Images of attached devices under a lease.")),
      lease_errors(
          metrics.MakeCounter(kPrefix + "lease_errors_total",
                              "Tries to renew or to end a lease that failed.")),
      moved_images(
          metrics.MakeCounter(kPrefix + "moved_images_total",
                              "Images that were followed to another root.")),
      alarms(metrics.MakeCounter(kPrefix + "alarms_total",
                                 "Reads of an expired root.")) {}

void LocalCacheMetrics::Show(const ArenaStats& stats) {
  arena_bytes.Set(static_cast<int64_t>(stats.allocated_bytes));
  arena_limit_bytes.Set(static_cast<int64_t>(stats.limit_bytes));
  arena_chunks.Set(static_cast<int64_t>(stats.chunks));
  arena_evictions.SetTotal(stats.evictions);
}

void LocalCacheMetrics::Show(const FlashTierStats& stats) {
  flash_limit_bytes.Set(static_cast<int64_t>(stats.device_bytes));
  flash_chunks.Set(static_cast<int64_t>(stats.entry_count));
  flash_failed.Set(stats.failed ? 1 : 0);
  flash_written_bytes.SetTotal(stats.written_bytes);
  flash_moved_bytes.SetTotal(stats.moved_bytes);
  flash_dropped.SetTotal(stats.dropped);
}

Json LocalCacheMetrics::ToJson() const {
  Json json;
  Json tiers{Json::Array()};
  for (const TierMetrics* tier : {&arena, &flash, &zone_cache, &origin})
    tiers.Append(tier->ToJson());
  json["tiers"] = tiers;
  json["requests"] = Number(requests);
  json["wait"] = Percentiles(wait_seconds);
  json["raised"] = Number(raised);
  json["repairs"] = Number(healed);
  json["refused_starts"] = Number(refused);
  json["clients"] = clients.value();
  json["starting"] = starting.value();
  json["queued"] = queued.value();
  json["origin_in_flight"] = origin_in_flight.value();
  json["origin_in_flight_peak"] = origin_in_flight_peak.value();
  json["arena_bytes"] = arena_bytes.value();
  json["arena_limit_bytes"] = arena_limit_bytes.value();
  json["arena_chunks"] = arena_chunks.value();
  json["arena_evictions"] = Number(arena_evictions);
  json["flash_limit_bytes"] = flash_limit_bytes.value();
  json["flash_chunks"] = flash_chunks.value();
  json["flash_failed"] = flash_failed.value() != 0;
  json["flash_written_bytes"] = Number(flash_written_bytes);
  json["flash_dropped"] = Number(flash_dropped);
  json["leases"] = leases.value();
  json["lease_errors"] = Number(lease_errors);
  json["moved_images"] = Number(moved_images);
  json["alarms"] = Number(alarms);
  return json;
}

}  // namespace morsel
