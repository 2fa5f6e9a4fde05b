// SPDX-License-Identifier: Apache-2.0
// Hit rates of the eviction policies of cache/, side by side.
//
//   eviction                          the cron workload, as a table
//   eviction TRACE.csv BYTES...       a trace (time in seconds, key, size in
//                                     bytes a line) at each cache size, as JSON
//
// The cron workload: 26 hours of function starts, each of which reads 10 chunks
// (4 of its base, 6 of its own). Popular functions by Zipf (one start a
// second), 1,000 functions in the first minute of each hour, 10,000 in the
// first minute of each day, and functions that are started once and never
// again (one in five seconds). Hits count from the third hour on.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/policy.h"

namespace morsel {
namespace {

struct Access {
  double time_s = 0;
  CacheKey key;
  uint64_t bytes = 0;
  bool is_popular = false;
  bool is_counted = true;
};

constexpr std::array kKinds = {PolicyKind::kLruK, PolicyKind::kLru,
                               PolicyKind::kFifo, PolicyKind::kS3Fifo,
                               PolicyKind::kSieve};

struct HitRates {
  uint64_t accesses = 0, hits = 0;
  uint64_t popular = 0, popular_hits = 0;
  uint64_t bytes = 0, hit_bytes = 0;

  static double Percent(uint64_t part, uint64_t all) {
    return all == 0
               ? 0
               : 100 * static_cast<double>(part) / static_cast<double>(all);
  }
};

// Plays the accesses against a cache of so many bytes.
HitRates Play(const std::vector<Access>& accesses, const PolicyOptions& options,
              uint64_t cache_bytes) {
  const auto policy = MakePolicy(options);
  std::unordered_map<CacheKey, uint64_t> resident;
  uint64_t resident_bytes = 0;
  HitRates rates;
  for (const Access& access : accesses) {
    const EvictionPolicy::Time now{
        std::chrono::nanoseconds(static_cast<int64_t>(access.time_s * 1e9))};
    const bool is_hit = resident.contains(access.key);
    if (access.is_counted) {
      ++rates.accesses;
      rates.bytes += access.bytes;
      rates.hits += is_hit ? 1 : 0;
      rates.hit_bytes += is_hit ? access.bytes : 0;
      rates.popular += access.is_popular ? 1 : 0;
      rates.popular_hits += access.is_popular && is_hit ? 1 : 0;
    }
    if (is_hit) {
      policy->Hit(access.key, now);
      continue;
    }
    if (access.bytes > cache_bytes) continue;
    while (resident_bytes + access.bytes > cache_bytes) {
      const auto victim = policy->Evict(now);
      resident_bytes -= resident[*victim];
      resident.erase(*victim);
    }
    policy->Insert(access.key, access.bytes, now);
    resident.emplace(access.key, access.bytes);
    resident_bytes += access.bytes;
  }
  return rates;
}

class CronWorkload {
 public:
  std::vector<Access> Make() {
    std::vector<double> weights;
    for (int rank = 1; rank <= kPopular; ++rank)
      weights.push_back(1.0 / std::pow(rank, 0.9));
    std::discrete_distribution<uint64_t> zipf(weights.begin(), weights.end());
    for (int second = 0; second < kHours * 3600; ++second) {
      second_ = second;
      Start(zipf(random_), true);
      if (second % 5 == 0) Start(kOnce + second, false);
      if (second % 3600 < 60) Burst(kHourly, 1000, second % 3600);
      if (second % 86400 < 60) Burst(kDaily, 10'000, second % 86400);
    }
    return std::move(accesses_);
  }

 private:
  static constexpr int kHours = 26, kWarmHours = 2;
  static constexpr int kPopular = 5000;
  static constexpr uint64_t kHourly = 1'000'000, kDaily = 2'000'000;
  static constexpr uint64_t kOnce = 3'000'000, kBases = 9'000'000;
  static constexpr uint64_t kChunkBytes = 128 * kKiB;

  // The part of `count` functions that start in this second of their minute.
  void Burst(uint64_t first, uint64_t count, int second) {
    const auto at = static_cast<uint64_t>(second);
    for (uint64_t i = count * at / 60; i < count * (at + 1) / 60; ++i)
      Start(first + i, false);
  }
  void Start(uint64_t function, bool is_popular) {
    for (uint64_t i = 0; i < 10; ++i) {
      const uint64_t owner = i < 4 ? kBases + function % 20 : function;
      accesses_.push_back({second_ + 0.05 * static_cast<double>(i),
                           {owner, i},
                           kChunkBytes,
                           is_popular,
                           second_ >= kWarmHours * 3600});
    }
  }

  std::mt19937_64 random_{1};
  double second_ = 0;
  std::vector<Access> accesses_;
};

int PrintCron() {
  const std::vector<Access> accesses = CronWorkload().Make();
  std::unordered_map<CacheKey, int> distinct;
  for (const Access& access : accesses) distinct[access.key] = 1;
  std::printf(
      "%zu accesses, %zu distinct chunks; hit rate of all and of "
      "popular functions, %%\n%-10s",
      accesses.size(), distinct.size(), "cache");
  for (const PolicyKind kind : kKinds)
    std::printf(" %15s", std::string(PolicyName(kind)).c_str());
  std::printf("\n");
  for (const uint64_t percent : {1, 3, 10, 20}) {
    const uint64_t bytes = distinct.size() * percent / 100 * 128 * kKiB;
    std::printf("%3llu %% %-5s", static_cast<unsigned long long>(percent), "");
    for (const PolicyKind kind : kKinds) {
      const HitRates rates = Play(accesses, {.kind = kind}, bytes);
      std::printf("   %5.2f  %5.2f",
                  HitRates::Percent(rates.hits, rates.accesses),
                  HitRates::Percent(rates.popular_hits, rates.popular));
      std::fflush(stdout);
    }
    std::printf("\n");
  }
  return 0;
}

// A line that is no access (a head, say) is skipped.
std::vector<Access> ReadTrace(const char* path) {
  std::vector<Access> accesses;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find(',');
    const size_t last = line.rfind(',');
    if (first == std::string::npos || first == last) continue;
    char* end = nullptr;
    const double time_s = std::strtod(line.c_str(), &end);
    const uint64_t bytes = std::strtoull(line.c_str() + last + 1, nullptr, 10);
    if (end != line.c_str() + first || bytes == 0) continue;
    const auto key = std::string_view(line).substr(first + 1, last - first - 1);
    accesses.push_back({time_s, CacheKey::Of(key), bytes});
  }
  return accesses;
}

int PrintReplay(const char* path, const std::vector<uint64_t>& sizes) {
  const std::vector<Access> accesses = ReadTrace(path);
  if (accesses.empty()) {
    std::fprintf(stderr, "eviction: %s: no line `seconds,key,bytes`\n", path);
    return 1;
  }
  std::printf("{\"accesses\": %zu, \"results\": [", accesses.size());
  const char* separator = "";
  for (const uint64_t size : sizes)
    for (const PolicyKind kind : kKinds) {
      const HitRates rates = Play(accesses, {.kind = kind}, size);
      std::printf(
          "%s\n  {\"cache_bytes\": %llu, \"policy\": \"%s\", "
          "\"hit_rate\": %.6f, \"byte_hit_rate\": %.6f}",
          separator, static_cast<unsigned long long>(size),
          std::string(PolicyName(kind)).c_str(),
          HitRates::Percent(rates.hits, rates.accesses) / 100,
          HitRates::Percent(rates.hit_bytes, rates.bytes) / 100);
      separator = ",";
    }
  std::printf("\n]}\n");
  return 0;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  if (argc == 1) return morsel::PrintCron();
  std::vector<uint64_t> sizes;
  for (int i = 2; i < argc; ++i)
    sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty() || sizes.front() == 0) {
    std::fprintf(stderr, "usage: eviction [TRACE.csv CACHE_BYTES...]\n");
    return 2;
  }
  return morsel::PrintReplay(argv[1], sizes);
}
