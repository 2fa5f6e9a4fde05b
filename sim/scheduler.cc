// SPDX-License-Identifier: Apache-2.0
#include "scheduler.h"

#include <algorithm>
#include <utility>

namespace morsel::sim {

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
  std::vector<Actor*> ready;
  Actor* first = nullptr;
  for (const auto& actor : actors_) {
    if (actor->over) continue;
    if (first == nullptr || actor->ready_at < first->ready_at)
      first = actor.get();
    if (actor->ready_at <= step) ready.push_back(actor.get());
  }
  if (ready.empty()) return first;
  return ready[rng_() % ready.size()];
}

uint64_t Scheduler::Run(const std::function<void()>& before_step) {
  for (uint64_t step = 0;; ++step) {
    Actor* const actor = Choose(step);
    if (actor == nullptr) return step;
    before_step();
    actor->turn.mine_.release();
    actor->turn.returned_.acquire();
    actor->ready_at = step + std::exchange(actor->turn.sleeping_steps_, 0);
  }
}

}  // namespace morsel::sim
