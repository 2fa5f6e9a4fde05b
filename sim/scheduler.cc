// SPDX-License-Identifier: Apache-2.0
#include "scheduler.h"

#include <algorithm>
#include <utility>

namespace morsel::sim {
namespace {

constexpr uint64_t kSwitchOneIn = 8;

}  // namespace

void Scheduler::Add(std::function<void(Turn&)> body) {
  auto actor = std::make_unique<Actor>();
  Actor* const self = actor.get();
  actor->thread = std::jthread([self, body = std::move(body)] {
    self->turn.mine_.acquire();
    body(self->turn);
    self->over = true;
    self->turn.returned_.release();
  });
  actors_.push_back(std::move(actor));
}

Scheduler::Actor* Scheduler::Choose(uint64_t step) {
  if (last_ != nullptr && !last_->over && last_->ready_at <= step &&
      !OneIn(rng_, kSwitchOneIn))
    return last_;
  std::vector<Actor*> ready;
  Actor* first = nullptr;
  for (const auto& actor : actors_) {
    if (actor->over) continue;
    if (first == nullptr || actor->ready_at < first->ready_at)
      first = actor.get();
    if (actor->ready_at <= step) ready.push_back(actor.get());
  }
  last_ = ready.empty() ? first : ready[rng_() % ready.size()];
  return last_;
}

void Scheduler::Step(Actor& actor) {
  actor.turn.mine_.release();
  actor.turn.returned_.acquire();
}

uint64_t Scheduler::Run(const std::function<void()>& before_step) {
  for (uint64_t step = 0;; ++step) {
    Actor* const actor = Choose(step);
    if (actor == nullptr) return step;
    before_step();
    Step(*actor);
    actor->ready_at = step + std::exchange(actor->turn.sleeping_steps_, 0);
  }
}

std::vector<uint64_t> Scheduler::RunLegs(std::span<const uint64_t> legs) {
  const auto run = [&](Actor& actor, uint64_t limit) {
    uint64_t taken = 0;
    for (; taken < limit && !actor.over; ++taken) Step(actor);
    return taken;
  };
  std::vector<uint64_t> taken;
  for (size_t i = 0; i < legs.size(); ++i)
    taken.push_back(run(*actors_[i % actors_.size()], legs[i]));
  for (const auto& actor : actors_) run(*actor, UINT64_MAX);
  return taken;
}

}  // namespace morsel::sim
