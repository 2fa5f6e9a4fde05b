// SPDX-License-Identifier: Apache-2.0
// What a daemon counts, for Prometheus and for `morsel stat`.
//
//   Metrics metrics;
//   Counter& hits = metrics.MakeCounter(
//       "morsel_local_cache_hits_total", "Chunks found.", {{"tier", "arena"}});
//   hits.Add();
//
// Names are `morsel_<part>_<what>_<unit>`, counters end in `_total`, times are
// seconds, as Prometheus has it. One name has one help text and kind, and one
// metric for each set of labels: asking for the same again gives the same
// metric. Labels take few values (a tier, a node), never names of chunks.
//
// Who has figures of his own, such as a cache that knows its bytes, copies them
// in a function that is called before each exposition (OnCollect).
//
// The text is made by prometheus-cpp, which stays behind this header; counting
// is a relaxed atomic operation. net/metrics_server.h serves the text by HTTP.
//
// Thread safety: thread-safe. Metrics live as long as their Metrics.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace morsel {

class Counter {
 public:
  void Add(uint64_t count = 1) {
    value_.fetch_add(count, std::memory_order_relaxed);
  }
  // For who counts elsewhere: the total. It must not fall.
  void SetTotal(uint64_t total) {
    value_.store(total, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void Add(int64_t change) {
    value_.fetch_add(change, std::memory_order_relaxed);
  }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Durations, from 1 µs to 68 s, in buckets of a quarter of a power of two, so
// that a percentile is off by an eighth at most. Prometheus sees each fourth
// bucket: 1 µs, 2 µs, 4 µs and so on.
class Histogram {
 public:
  void Observe(std::chrono::nanoseconds time);
  uint64_t count() const;
  std::chrono::nanoseconds sum() const {
    return std::chrono::nanoseconds(sum_.load(std::memory_order_relaxed));
  }
  // The middle of the bucket in which the quantile (0 to 1) lies; 0 if nothing
  // was observed.
  std::chrono::nanoseconds Quantile(double quantile) const;

  static constexpr int kOctaves = 27;  // 2^10 ns to 2^37 ns
  static constexpr int kSteps = 4;     // in an octave
  // [0] is under 1 µs, the last one is over 137 s.
  static constexpr int kBuckets = kOctaves * kSteps + 2;
  uint64_t bucket(int index) const {
    return buckets_[static_cast<size_t>(index)].load(std::memory_order_relaxed);
  }
  // The bucket's upper bound.
  static std::chrono::nanoseconds UpperBound(int index);

 private:
  std::array<std::atomic<uint64_t>, kBuckets> buckets_{};
  std::atomic<int64_t> sum_{0};
};

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Require: a valid name, which has no other kind yet.
  Counter& MakeCounter(const std::string& name, const std::string& help,
                       const MetricLabels& labels = {});
  Gauge& MakeGauge(const std::string& name, const std::string& help,
                   const MetricLabels& labels = {});
  Histogram& MakeHistogram(const std::string& name, const std::string& help,
                           const MetricLabels& labels = {});

  // `collect` is called, by one thread at a time, before each Text. What it
  // uses must outlive this, or the last Text.
  void OnCollect(std::function<void()> collect);

  // Calls them, for who reads the metrics one by one.
  void Collect();
  // All metrics in Prometheus' text format, version 0.0.4, sorted by name.
  std::string Text();

 private:
  struct Family;
  Family& FamilyOf(const std::string& name, const std::string& help, int kind)
      REQUIRES(mutex_);

  Mutex collecting_;  // before mutex_
  Mutex mutex_;
  std::map<std::string, std::unique_ptr<Family>> families_ GUARDED_BY(mutex_);
  std::vector<std::function<void()>> collectors_ GUARDED_BY(mutex_);
};

}  // namespace morsel
