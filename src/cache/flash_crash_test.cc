// SPDX-License-Identifier: Apache-2.0
// The flash tier dies at every write of the device, and by kill -9: what comes
// back is never older than what was flushed, and never anything else.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <random>
#include <vector>

#include "base/fd.h"
#include "cache/flash_fixture.h"

namespace morsel {
namespace {

// What a key may hold after a crash: its value at the last Flush that returned,
// or any later one. "" is none: evicting is always allowed.
class History {
 public:
  void Set(const std::string& key, std::string value) {
    values_[key].push_back(std::move(value));
  }
  void Flushed() {
    for (auto& [key, values] : values_)
      if (values.size() > 1) values.erase(values.begin(), values.end() - 1);
  }
  bool Allows(const std::string& key, const std::string& value) const {
    if (value == "not found") return true;
    const auto found = values_.find(key);
    if (found == values_.end()) return false;
    for (const std::string& allowed : found->second)
      if (allowed == value) return true;
    return false;
  }
  const std::map<std::string, std::vector<std::string>>& all() const {
    return values_;
  }

 private:
  std::map<std::string, std::vector<std::string>> values_;
};

class FlashCrashTest : public FlashFixture {
 protected:
  // A fixed workload that overwrites, erases, laps the ring and moves hot
  // records; false when the device failed.
  bool Work(uint64_t seed, History& history) {
    std::mt19937_64 random(seed);
    for (int step = 0; step < 260; ++step) {
      clock_.Advance(std::chrono::seconds(1));
      const std::string key = std::to_string(random() % 30);
      if (random() % 6 == 0) {
        history.Set(key, "not found");
        tier_->Erase(key);
      } else {
        const std::string value(1 + random() % 5000,
                                static_cast<char>('a' + step % 26));
        history.Set(key, value);
        if (!Put(key, value).ok()) return false;
      }
      (void)tier_->Get(std::to_string(random() % 6));
      if (step % 7 != 0) continue;
      if (!tier_->Flush().ok()) return false;
      history.Flushed();
    }
    return true;
  }
  void ExpectAllowed(const History& history) {
    for (const auto& [key, values] : history.all()) {
      const std::string got = TextOf(key);
      ASSERT_TRUE(history.Allows(key, got))
          << key << " is " << got.substr(0, 3) << ", not "
          << values.front().substr(0, 3);
    }
  }
  // What is there now is what may be there later.
  History Found(const History& history) {
    History found;
    for (const auto& [key, values] : history.all()) found.Set(key, TextOf(key));
    return found;
  }
  FlashTierOptions Options() {
    FlashTierOptions options = SmallFlash();
    options.segment_bytes = 32 * kKiB;
    return options;
  }
};

TEST_F(FlashCrashTest, AfterACrashAtAnyWriteNothingOldComesBack) {
  bool is_done = false;
  for (uint64_t writes = 0; !is_done; ++writes) {
    ASSERT_LT(writes, 1000u);
    SCOPED_TRACE("crash at write " + std::to_string(writes));
    MakeDevice(256 * kKiB);
    CacheFaultOptions faults;
    faults.seed = writes + 1;
    faults.writes_until_crash = writes;
    const auto faulty = MakeFaultCacheDevice(*device_, faults);
    Open(Options(), faulty.get());
    History history;
    is_done = Work(1, history);
    Open(Options());
    ExpectAllowed(history);
    // It goes on from there, and once more.
    history = Found(history);
    ASSERT_TRUE(Put("0", "after").ok());
    ASSERT_TRUE(tier_->Flush().ok());
    history.Set("0", "after");
    history.Flushed();
    Open(Options());
    ExpectAllowed(history);
    EXPECT_EQ(TextOf("0"), "after");
  }
}

TEST_F(FlashCrashTest, ManyCrashesInARowBringNothingOldBack) {
  const uint64_t seed = 77;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  MakeDevice(256 * kKiB);
  History history;
  for (int round = 0; round < 40; ++round) {
    CacheFaultOptions faults;
    faults.seed = random();
    faults.writes_until_crash = random() % 60;
    const auto faulty = MakeFaultCacheDevice(*device_, faults);
    Open(Options(), faulty.get());
    ExpectAllowed(history);
    (void)Work(random(), history);
    Open(Options());
    ExpectAllowed(history);
    history = Found(history);
  }
}

// A child writes numbered versions of a few keys and tells which were flushed.
[[noreturn]] void WriteUntilKilled(const std::string& path, int out) {
  auto device = OpenFileDevice(path, {.max_bytes = 2 * kMiB});
  FlashTierOptions options = SmallFlash();
  auto tier =
      FlashTier::Open(std::move(device).value(), options, SystemClock());
  for (uint32_t version = 1;; ++version) {
    const std::string text =
        std::to_string(version) + "." + std::string(version % 7000, 'x');
    const std::string key = std::to_string(version % 10);
    const bool ok =
        (*tier)
            ->Put(key, {SharedBytes::Copy(text)}, FlashTier::WhenFull::kWait)
            .ok() &&
        (*tier)->Flush().ok();
    if (!ok || write(out, &version, sizeof(version)) != sizeof(version))
      _exit(1);
  }
}

TEST_F(FlashCrashTest, KillOfTheProcessLosesNothingThatWasFlushed) {
  const std::string path = std::filesystem::temp_directory_path() /
                           ("morsel-flash-" + std::to_string(getpid()));
  uint32_t flushed = 0;
  for (int round = 0; round < 4; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(pipe(pipe_fds), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) WriteUntilKilled(path, pipe_fds[1]);
    const Fd from(pipe_fds[0]);
    close(pipe_fds[1]);
    // So many flushes, then the kill, at whatever it is doing.
    uint32_t version = 0;
    for (int i = 0; i < 40 + 17 * round; ++i) {
      ASSERT_EQ(read(from.get(), &version, sizeof(version)),
                static_cast<ssize_t>(sizeof(version)));
      flushed = version;
    }
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    while (read(from.get(), &version, sizeof(version)) == sizeof(version))
      flushed = version;
    auto tier =
        FlashTier::Open(OpenFileDevice(path, {.max_bytes = 2 * kMiB}).value(),
                        SmallFlash(), clock_);
    ASSERT_TRUE(tier.ok());
    // The newest flushed one of each key, or the one that was under way.
    for (uint32_t v = flushed - 9; v <= flushed; ++v) {
      const auto got = (*tier)->Get(std::to_string(v % 10));
      ASSERT_TRUE(got.ok()) << v;
      EXPECT_GE(std::stoul(std::string(got->value.bytes.text())), v);
    }
  }
  std::filesystem::remove(path);
}

TEST_F(FlashCrashTest, AFileIsHeldByOneProcessAndKeepsItsSize) {
  const std::string path = std::filesystem::temp_directory_path() /
                           ("morsel-flash-" + std::to_string(getpid()));
  {
    auto device = OpenFileDevice(path, {.max_bytes = kMiB + 5});
    ASSERT_TRUE(device.ok());
    EXPECT_EQ((*device)->size(), kMiB);
    EXPECT_EQ(OpenFileDevice(path, {.max_bytes = kMiB}).error().code,
              Code::kUnavailable);
  }
  EXPECT_EQ(std::filesystem::file_size(path), kMiB);
  auto smaller = OpenFileDevice(path, {.max_bytes = kMiB / 2});
  ASSERT_TRUE(smaller.ok());
  EXPECT_EQ(std::filesystem::file_size(path), kMiB / 2);
  EXPECT_EQ(OpenFileDevice(path + "/x", {.max_bytes = kMiB}).ok(), false);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace morsel
