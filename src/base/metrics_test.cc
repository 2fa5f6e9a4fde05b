// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

namespace morsel {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(Metrics, TextIsWhatPrometheusReads) {
  Metrics metrics;
  metrics.MakeCounter("morsel_hits_total", "Found.", {{"tier", "arena"}})
      .Add(3);
  metrics.MakeCounter("morsel_hits_total", "Found.", {{"tier", "flash"}});
  metrics.MakeGauge("morsel_bytes", "Stored.").Set(-5);
  const std::string text = metrics.Text();
  EXPECT_NE(text.find("# HELP morsel_hits_total Found.\n"
                      "# TYPE morsel_hits_total counter\n"
                      "morsel_hits_total{tier=\"arena\"} 3\n"
                      "morsel_hits_total{tier=\"flash\"} 0\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("# TYPE morsel_bytes gauge\nmorsel_bytes -5\n"),
            std::string::npos)
      << text;
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  Metrics metrics;
  Counter& first = metrics.MakeCounter("a_total", "A.", {{"x", "1"}});
  EXPECT_EQ(&first, &metrics.MakeCounter("a_total", "A.", {{"x", "1"}}));
  EXPECT_NE(&first, &metrics.MakeCounter("a_total", "A.", {{"x", "2"}}));
}

TEST(Metrics, LabelsWithQuotesAreEscaped) {
  Metrics metrics;
  metrics.MakeCounter("a_total", "A.", {{"x", "say \"hi\"\n"}});
  EXPECT_NE(metrics.Text().find("{x=\"say \\\"hi\\\"\\n\"}"),
            std::string::npos);
}

TEST(Metrics, CollectorsRunBeforeEachText) {
  Metrics metrics;
  Gauge& gauge = metrics.MakeGauge("a", "A.");
  metrics.OnCollect([&] { gauge.Add(1); });
  EXPECT_NE(metrics.Text().find("\na 1\n"), std::string::npos);
  EXPECT_NE(metrics.Text().find("\na 2\n"), std::string::npos);
}

TEST(Metrics, ThreadsCountWithoutLoss) {
  Metrics metrics;
  constexpr int kEach = 10000;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int n = 0; n < kEach; ++n) {
          metrics.MakeCounter("a_total", "A.").Add();
          metrics.MakeHistogram("t_seconds", "T.").Observe(microseconds(n));
        }
      });
    for (int i = 0; i < 20; ++i) EXPECT_NE(metrics.Text(), "-");
  }
  EXPECT_EQ(metrics.MakeCounter("a_total", "A.").value(), 4u * kEach);
  EXPECT_EQ(metrics.MakeHistogram("t_seconds", "T.").count(), 4u * kEach);
}

TEST(Histogram, EveryDurationIsBelowItsBucketsBound) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int i = 0; i < 20000; ++i) {
    const nanoseconds time(
        static_cast<int64_t>(random() >> (26 + random() % 38)));
    Histogram histogram;
    histogram.Observe(time);
    int index = 0;
    while (histogram.bucket(index) == 0) ++index;
    if (index < Histogram::kBuckets - 1) {
      EXPECT_LT(time, Histogram::UpperBound(index));
    }
    if (index > 0) {
      EXPECT_GE(time, Histogram::UpperBound(index - 1));
    }
  }
}

TEST(Histogram, QuantilesAreWithinAnEighthOfSorting) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> draw(13, 1.5);
  Histogram histogram;
  std::vector<int64_t> times;
  for (int i = 0; i < 5000; ++i) {
    times.push_back(static_cast<int64_t>(draw(random)) + 2000);
    histogram.Observe(nanoseconds(times.back()));
  }
  std::sort(times.begin(), times.end());
  for (const double quantile : {0.5, 0.9, 0.99, 0.999}) {
    const auto right =
        static_cast<double>(times[static_cast<size_t>(quantile * 5000.0)]);
    const auto found =
        static_cast<double>(histogram.Quantile(quantile).count());
    EXPECT_NEAR(found / right, 1.0, 0.125) << quantile;
  }
  EXPECT_EQ(Histogram().Quantile(0.5), nanoseconds(0));
}

TEST(Histogram, TextHasCumulativeBucketsSumAndCount) {
  Metrics metrics;
  Histogram& histogram = metrics.MakeHistogram("t_seconds", "T.");
  histogram.Observe(nanoseconds(10));
  histogram.Observe(milliseconds(1));
  histogram.Observe(std::chrono::hours(1));
  const std::string text = metrics.Text();
  EXPECT_NE(text.find("t_seconds_count 3\n"), std::string::npos) << text;
  EXPECT_NE(text.find("t_seconds_sum 3600.001"), std::string::npos) << text;
  EXPECT_NE(text.find("{le=\"1.024e-06\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("{le=\"+Inf\"} 3\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace morsel
