// SPDX-License-Identifier: Apache-2.0
// What the actors of one run share: the store with its time, the seed's random
// numbers, what the model knows, and the faults that are allowed.
//
// Thread safety: used by who holds the baton (scheduler.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "chunk/name.h"
#include "gc/collector.h"
#include "keys/key_service.h"
#include "scheduler.h"
#include "store/filter_store.h"
#include "store/memory_store.h"

namespace morsel::sim {

// The time of the store, and of a host that is wrong by `skew_seconds`.
class SimClock final : public Clock {
 public:
  SimClock(const int64_t& now, int64_t skew_seconds)
      : now_(now), skew_seconds_(skew_seconds) {}
  std::chrono::steady_clock::time_point Now() override {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(now_));
  }
  int64_t UnixSeconds() override { return now_ + skew_seconds_; }

 private:
  const int64_t& now_;
  const int64_t skew_seconds_;
};

class SimRandom final : public Random {
 public:
  explicit SimRandom(Rng& rng) : rng_(rng) {}
  void Fill(MutableByteSpan out) override {
    for (std::byte& byte : out) byte = static_cast<std::byte>(rng_());
  }

 private:
  Rng& rng_;
};

// Wraps by writing down: the simulator is about references, not about secrets.
class SimKeys final : public KeyService {
 public:
  explicit SimKeys(std::string key_id) : key_id_(std::move(key_id)) {}
  std::string KeyId() const override { return key_id_; }
  Result<WrappedKey> Wrap(const SecretKey& data_key,
                          std::string_view context) override;
  Result<SecretKey> Unwrap(const WrappedKey& wrapped,
                           std::string_view context) override;

 private:
  const std::string key_id_;
};

struct WorldOptions {
  uint64_t seed = 1;
  // A crash at one store operation in so many; 0: never. Half of them come
  // after the operation was done and before its answer.
  uint64_t crash_one_in = 150;
  // A sleep at one store operation in so many; 0: never. Before a write that
  // others wait for, or that waits for others, six times as often.
  uint64_t sleep_one_in = 60;
  // The steps after which nobody begins anything new.
  uint64_t steps = 4000;
};

// What is published, as the store has it: kept by the checks (invariants.h),
// which look at each change, so that they need not read everything again.
struct Published {
  bool is_loaded = false;
  std::map<std::string, std::vector<std::string>> ids_by_holder;  // by key
  std::map<std::string, std::string> root_by_id;                  // of records
  std::map<std::string, std::vector<ChunkName>> chunks_by_id;
};

struct World {
  explicit World(const WorldOptions& world_options);

  const WorldOptions options;
  Rng rng;
  int64_t now = 1'000'000;  // seconds, the store's
  SimClock store_clock;
  MemoryStore store;
  SimRandom random;
  SimKeys keys;
  GcOptions gc;

  // Devices that hold their lease, by worker: what must stay readable beside
  // names and pins, for one lease period after `renewed_at`.
  struct Held {
    std::string manifest_id;
    int64_t renewed_at = 0;
  };
  std::map<std::string, Held> held;
  // Manifests by the keys of the pins that hold them.
  std::map<std::string, std::string> pinned;
  Published published;
  // Deletions in roots since an alarm that nobody has acknowledged.
  bool is_alarmed = false;
  uint64_t deleted_since_alarm = 0;
  uint64_t step = 0;
  bool faults = true;
  std::vector<std::string> violations;

  bool is_over() const { return step >= options.steps; }
  void Violate(const std::string& what);
};

// One actor's way to the store: each operation may be the moment at which it
// loses the baton, sleeps for long, or dies. A dead actor's operations fail
// and change nothing, until it is born again.
class ActorStore final : public FilterStore {
 public:
  ActorStore(World& world, Turn& turn)
      : FilterStore(world.store), world_(world), turn_(turn) {}

  bool dead() const { return dead_; }
  void BeBornAgain() { dead_ = false; }
  // No sleeps of more than a third of a lease period: for who renews one.
  void set_punctual(bool punctual) { punctual_ = punctual; }
  ObjectStore& direct() { return world_.store; }

 private:
  Status Before(const StoreCall& call) override;
  Status After(const StoreCall& call, const Status& answer) override;
  void SleepOrYield(const StoreCall& call);
  static Error Crashed() {
    return MakeError(Code::kUnavailable, "the actor has crashed");
  }

  World& world_;
  Turn& turn_;
  bool dead_ = false;
  bool dies_after_ = false;
  bool punctual_ = false;
};

}  // namespace morsel::sim
