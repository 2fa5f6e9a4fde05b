// SPDX-License-Identifier: Apache-2.0
// Runs actors, one at a time, in an order that follows from a seed.
//
// Each actor is a thread, so that it can run the shipped code as it is; but
// only the one that holds the baton runs, and it hands it back at each store
// operation (Turn::Yield). Between two operations of one actor any others may
// thus do anything, for any length of time, and the same seed gives the same
// run again.
//
// Thread safety: Scheduler is owned by one thread; a Turn is used by its
// actor's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <semaphore>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace morsel::sim {

using Rng = std::mt19937_64;

// True once in `n` times on average.
inline bool OneIn(Rng& rng, uint64_t n) { return rng() % n == 0; }

class Turn {
 public:
  // Gives the baton back and waits until it comes again.
  void Yield() {
    returned_.release();
    mine_.acquire();
  }
  // Does not get the baton for the next `steps` steps.
  void Sleep(uint64_t steps) {
    sleeping_steps_ = steps;
    Yield();
  }

 private:
  friend class Scheduler;
  std::binary_semaphore mine_{0};
  std::binary_semaphore returned_{0};
  uint64_t sleeping_steps_ = 0;
};

class Scheduler {
 public:
  explicit Scheduler(Rng& rng) : rng_(rng) {}
  // Ends nothing: Run must have returned.
  ~Scheduler() = default;

  // `body` runs from the first time that it gets the baton, and is over when
  // it returns.
  void Add(std::function<void(Turn&)> body);
  // Hands the baton on until every actor is over; `before_step` runs before
  // each. The number of steps.
  uint64_t Run(const std::function<void()>& before_step);
  // The same without chance: the first actor runs for `legs[0]` steps, the
  // second for `legs[1]`, the first for `legs[2]`, and so on, each until it is
  // over at most; then all that are left, one after another, to their ends.
  // Steps taken in each leg: fewer than given if its actor was over.
  std::vector<uint64_t> RunLegs(std::span<const uint64_t> legs);

 private:
  struct Actor {
    Turn turn;
    uint64_t ready_at = 0;
    bool over = false;
    std::jthread thread;
  };

  // The next one to run: mostly the last one again, so that what takes many
  // steps comes to an end between two interruptions; else any that does not
  // sleep; if all do, the first to wake.
  Actor* Choose(uint64_t step);
  static void Step(Actor& actor);

  Rng& rng_;
  Actor* last_ = nullptr;
  std::vector<std::unique_ptr<Actor>> actors_;
};

}  // namespace morsel::sim
