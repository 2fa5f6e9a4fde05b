// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <prometheus/check_names.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace morsel {
namespace {

enum Kind { kCounter, kGauge, kHistogram };

constexpr int kFirstOctave = 10;  // 2^10 ns: about 1 µs

int BucketOf(uint64_t nanoseconds) {
  const int octave = static_cast<int>(std::bit_width(nanoseconds)) - 1;
  if (octave < kFirstOctave) return 0;
  if (octave >= kFirstOctave + Histogram::kOctaves)
    return Histogram::kBuckets - 1;
  const auto step =
      static_cast<int>(nanoseconds >> (octave - 2)) & (Histogram::kSteps - 1);
  return 1 + (octave - kFirstOctave) * Histogram::kSteps + step;
}

double InSeconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

prometheus::ClientMetric::Histogram Export(const Histogram& histogram) {
  prometheus::ClientMetric::Histogram out;
  uint64_t sum = 0;
  for (int i = 0; i < Histogram::kBuckets - 1; ++i) {
    sum += histogram.bucket(i);
    if (i % Histogram::kSteps != 0) continue;
    out.bucket.push_back({sum, InSeconds(Histogram::UpperBound(i))});
  }
  sum += histogram.bucket(Histogram::kBuckets - 1);
  out.bucket.push_back({sum, std::numeric_limits<double>::infinity()});
  out.sample_count = sum;
  out.sample_sum = InSeconds(histogram.sum());
  return out;
}

}  // namespace

void Histogram::Observe(std::chrono::nanoseconds time) {
  const auto count = static_cast<uint64_t>(std::max<int64_t>(time.count(), 0));
  buckets_[static_cast<size_t>(BucketOf(count))].fetch_add(
      1, std::memory_order_relaxed);
  sum_.fetch_add(static_cast<int64_t>(count), std::memory_order_relaxed);
}

uint64_t Histogram::count() const {
  uint64_t sum = 0;
  for (int i = 0; i < kBuckets; ++i) sum += bucket(i);
  return sum;
}

std::chrono::nanoseconds Histogram::UpperBound(int index) {
  if (index == 0) return std::chrono::nanoseconds(int64_t{1} << kFirstOctave);
  const int octave = kFirstOctave + (index - 1) / kSteps;
  const int step = (index - 1) % kSteps + 1;
  return std::chrono::nanoseconds((int64_t{1} << octave) +
                                  (int64_t{step} << (octave - 2)));
}

std::chrono::nanoseconds Histogram::Quantile(double quantile) const {
  const uint64_t all = count();
  if (all == 0) return std::chrono::nanoseconds(0);
  const auto rank = static_cast<uint64_t>(quantile * static_cast<double>(all));
  uint64_t sum = 0;
  int index = 0;
  for (; index < kBuckets - 1; ++index) {
    sum += bucket(index);
    if (sum > rank || sum == all) break;
  }
  const auto low =
      index == 0 ? std::chrono::nanoseconds(0) : UpperBound(index - 1);
  return (low + UpperBound(index)) / 2;
}

struct Metrics::Family {
  template <typename T>
  using ByLabels = std::map<MetricLabels, std::unique_ptr<T>>;

  std::string help;
  int kind = kCounter;
  ByLabels<Counter> counters;
  ByLabels<Gauge> gauges;
  ByLabels<Histogram> histograms;

  prometheus::MetricFamily Export(const std::string& name) const;
};

namespace {

template <typename T>
T& Make(std::map<MetricLabels, std::unique_ptr<T>>& all,
        const MetricLabels& labels) {
  for (const auto& [name, value] : labels)
    CHECK(prometheus::CheckLabelName(name));
  std::unique_ptr<T>& metric = all[labels];
  if (metric == nullptr) metric = std::make_unique<T>();
  return *metric;
}

prometheus::ClientMetric& Append(const MetricLabels& labels,
                                 prometheus::MetricFamily& family) {
  prometheus::ClientMetric& metric = family.metric.emplace_back();
  for (const auto& [name, value] : labels)
    metric.label.push_back({name, value});
  return metric;
}

}  // namespace

prometheus::MetricFamily Metrics::Family::Export(
    const std::string& name) const {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = kind == kCounter ? prometheus::MetricType::Counter
                : kind == kGauge ? prometheus::MetricType::Gauge
                                 : prometheus::MetricType::Histogram;
  for (const auto& [labels, counter] : counters)
    Append(labels, family).counter.value =
        static_cast<double>(counter->value());
  for (const auto& [labels, gauge] : gauges)
    Append(labels, family).gauge.value = static_cast<double>(gauge->value());
  for (const auto& [labels, histogram] : histograms)
    Append(labels, family).histogram = morsel::Export(*histogram);
  return family;
}

Metrics::Metrics() = default;
Metrics::~Metrics() = default;

Metrics::Family& Metrics::FamilyOf(const std::string& name,
                                   const std::string& help, int kind) {
  CHECK(prometheus::CheckMetricName(name));
  std::unique_ptr<Family>& family = families_[name];
  if (family == nullptr) {
    family = std::make_unique<Family>();
    family->help = help;
    family->kind = kind;
  }
  CHECK(family->kind == kind);
  return *family;
}

Counter& Metrics::MakeCounter(const std::string& name, const std::string& help,
                              const MetricLabels& labels) {
  MutexLock lock(mutex_);
  return Make(FamilyOf(name, help, kCounter).counters, labels);
}

Gauge& Metrics::MakeGauge(const std::string& name, const std::string& help,
                          const MetricLabels& labels) {
  MutexLock lock(mutex_);
  return Make(FamilyOf(name, help, kGauge).gauges, labels);
}

Histogram& Metrics::MakeHistogram(const std::string& name,
                                  const std::string& help,
                                  const MetricLabels& labels) {
  MutexLock lock(mutex_);
  return Make(FamilyOf(name, help, kHistogram).histograms, labels);
}

void Metrics::OnCollect(std::function<void()> collect) {
  MutexLock lock(mutex_);
  collectors_.push_back(std::move(collect));
}

void Metrics::Collect() {
  MutexLock collecting(collecting_);
  std::vector<std::function<void()>> collectors;
  {
    MutexLock lock(mutex_);
    collectors = collectors_;
  }
  for (const auto& collect : collectors) collect();
}

std::string Metrics::Text() {
  Collect();
  std::vector<prometheus::MetricFamily> families;
  {
    MutexLock lock(mutex_);
    for (const auto& [name, family] : families_)
      families.push_back(family->Export(name));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace morsel
