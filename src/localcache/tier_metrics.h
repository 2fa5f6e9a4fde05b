// SPDX-License-Identifier: Apache-2.0
// What the local cache counts: for each tier what it was asked, what it gave
// and how long it took, and what became of starts and damage.
//
// One object, made once over a Metrics; the pipeline and the server count into
// it, Prometheus and `morsel stat` read from it.
//
// Thread safety: thread-safe.
#pragma once

#include <string>

#include "base/json.h"
#include "base/metrics.h"
#include "cache/flash_tier.h"
#include "localcache/arena_writer.h"

namespace morsel {

struct TierMetrics {
  TierMetrics(Metrics& metrics, const std::string& tier);

  std::string name;
  Counter& hits;
  Counter& misses;
  Counter& bytes;      // of the hits
  Counter& corrupt;    // damaged copies; none was passed on
  Counter& errors;     // did not answer: the next tier was asked, or it waits
  Histogram& seconds;  // of hits

  // Counters and percentiles; empty tiers too.
  Json ToJson() const;
};

struct LocalCacheMetrics {
  explicit LocalCacheMetrics(Metrics& metrics);

  Metrics& all;
  TierMetrics arena;  // its hits are those that the clients say
  TierMetrics flash;
  TierMetrics zone_cache;
  TierMetrics origin;
  Counter& requests;
  Counter& raised;   // prefetches that became demands
  Counter& healed;   // damaged in one tier, good in a later one
  Counter& refused;  // starts, by admission control
  Counter& bad_messages;
  Histogram& wait_seconds;  // from a request to its answer
  Gauge& clients;
  Gauge& starting;
  Gauge& queued;  // flights that wait for the origin
  Gauge& origin_in_flight;
  Gauge& origin_in_flight_peak;  // since the daemon began
  Gauge& arena_bytes;            // taken from the machine
  Gauge& arena_limit_bytes;
  Gauge& arena_chunks;
  Counter& arena_evictions;
  Gauge& flash_limit_bytes;
  Gauge& flash_chunks;
  Gauge& flash_failed;  // 1: a write failed, it writes no more
  Counter& flash_written_bytes;
  Counter& flash_moved_bytes;  // of them, written again as they were hot
  Counter& flash_dropped;      // chunks that its queue had no room for
  Gauge& leases;               // held: images of attached devices
  Counter& lease_errors;       // tries to renew or end one that failed
  Counter& moved_images;       // followed to another root
  Counter& alarms;             // reads of an expired root

  // For Metrics::OnCollect: what the arena and the flash tier count themselves.
  void Show(const ArenaStats& stats);
  void Show(const FlashTierStats& stats);
  // For `morsel stat`.
  Json ToJson() const;
};

}  // namespace morsel
