// SPDX-License-Identifier: Apache-2.0
// GET and SET of 128 KiB by the tiers of cache/, without a network.
//
//   cache_tiers FILE [FLASH_BYTES]     FILE is made on the disk to be measured,
//                                      and removed
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "cache/tiered_cache.h"

namespace morsel {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr size_t kValueBytes = 128 * kKiB;

class Timer {
 public:
  explicit Timer(std::string what) : what_(std::move(what)) {}

  template <typename Call>
  void Time(Call call) {
    const auto begun = SteadyClock::now();
    call();
    took_us_.push_back(
        std::chrono::duration<double, std::micro>(SteadyClock::now() - begun)
            .count());
  }
  void Print() {
    std::sort(took_us_.begin(), took_us_.end());
    double total_us = 0;
    for (const double us : took_us_) total_us += us;
    const auto at = [&](double part) {
      return took_us_[static_cast<size_t>(
          part * static_cast<double>(took_us_.size() - 1))];
    };
    std::printf(
        "%-22s %7zu calls, p50 %8.1f us, p99 %8.1f us, p99.9 %8.1f us, "
        "%7.0f MiB/s\n",
        what_.c_str(), took_us_.size(), at(0.5), at(0.99), at(0.999),
        static_cast<double>(took_us_.size()) / 8 / (total_us / 1e6));
  }

 private:
  std::string what_;
  std::vector<double> took_us_;
};

std::string Key(size_t number) { return "chunk" + std::to_string(number); }

void MeasureMemory() {
  auto tier = MemoryTier::Make({.max_bytes = 256 * kMiB}, SystemClock());
  const CacheValue value{SharedBytes::Own(Bytes(kValueBytes, std::byte{7}))};
  Timer set("memory SET");
  for (size_t i = 0; i < 8000; ++i)
    set.Time([&] { (void)(*tier)->Put(Key(i), value, false); });
  set.Print();
  std::mt19937_64 random(1);
  Timer get("memory GET");
  for (size_t i = 0; i < 100'000; ++i) {
    const std::string key = Key(7000 + random() % 1000);
    get.Time([&] { (void)(*tier)->Get(key); });
  }
  get.Print();
}

int MeasureFlash(const std::string& path, uint64_t flash_bytes, bool direct) {
  auto device =
      OpenFileDevice(path, {.max_bytes = flash_bytes, .direct = direct});
  if (!device.ok()) {
    std::fprintf(stderr, "cache_tiers: %s\n", device.error().message.c_str());
    return 1;
  }
  auto tier = FlashTier::Open(std::move(*device), {}, SystemClock());
  const std::string mode = direct ? " (direct)" : " (page cache)";
  const CacheValue value{SharedBytes::Own(Bytes(kValueBytes, std::byte{7}))};
  const size_t count = flash_bytes / kValueBytes * 2;
  const auto begun = SteadyClock::now();
  for (size_t i = 0; i < count; ++i)
    (void)(*tier)->Put(Key(i), value, FlashTier::WhenFull::kWait);
  (void)(*tier)->Flush();
  const double seconds =
      std::chrono::duration<double>(SteadyClock::now() - begun).count();
  std::printf(
      "flash SET%-13s %7zu calls, %.0f MiB/s, write amplification "
      "%.3f\n",
      mode.c_str(), count, static_cast<double>(count) / 8 / seconds,
      (*tier)->Stats().write_amplification());
  std::mt19937_64 random(1);
  Timer get("flash GET" + mode);
  for (size_t i = 0; i < 4000; ++i) {
    const std::string key = Key(count - 1 - random() % (count / 3));
    get.Time([&] { (void)(*tier)->Get(key); });
  }
  get.Print();
  tier->reset();
  const auto reopened = SteadyClock::now();
  auto again = FlashTier::Open(
      OpenFileDevice(path, {.max_bytes = flash_bytes, .direct = direct})
          .value(),
      {}, SystemClock());
  std::printf(
      "flash restart%-9s %7llu entries in %.0f ms\n", mode.c_str(),
      static_cast<unsigned long long>((*again)->Stats().entry_count),
      std::chrono::duration<double, std::milli>(SteadyClock::now() - reopened)
          .count());
  std::remove(path.c_str());
  return 0;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: cache_tiers FILE [FLASH_BYTES]\n");
    return 2;
  }
  const uint64_t bytes =
      argc == 3 ? std::strtoull(argv[2], nullptr, 10) : morsel::kGiB;
  morsel::MeasureMemory();
  const int direct = morsel::MeasureFlash(argv[1], bytes, true);
  return direct != 0 ? direct : morsel::MeasureFlash(argv[1], bytes, false);
}
