// SPDX-License-Identifier: Apache-2.0
#include "localcache/flight_queue.h"

namespace morsel {

void FlightQueue::Push(const FlightPtr& flight) {
  if (flight->ticket == 0) ++size_;
  flight->ticket = ++tickets_;
  (flight->demand ? demands_ : prefetches_).push_back({flight, flight->ticket});
}

FlightPtr FlightQueue::Take(const std::function<bool(const Flight&)>& may_go) {
  for (auto* queue : {&demands_, &prefetches_}) {
    const auto is_gone = [](const Entry& entry) {
      return entry.flight->ticket != entry.ticket;
    };
    while (!queue->empty() && is_gone(queue->front())) queue->pop_front();
    const auto found =
        std::find_if(queue->begin(), queue->end(), [&](const Entry& entry) {
          return !is_gone(entry) && may_go(*entry.flight);
        });
    if (found == queue->end()) continue;
    FlightPtr flight = std::move(found->flight);
    queue->erase(found);
    flight->ticket = 0;
    --size_;
    return flight;
  }
  return nullptr;
}

bool OriginSlots::MayGo(const Flight& flight, Deadline now) const {
  const Held kind = KindOf(flight, now);
  return in_use_ < count_ && (!kind.young || young_ < young_limit_) &&
         (!kind.prefetch || prefetches_ < prefetch_limit_);
}

OriginSlots::Held OriginSlots::Take(const Flight& flight, Deadline now) {
  const Held held = KindOf(flight, now);
  ++in_use_;
  if (held.young) ++young_;
  if (held.prefetch) ++prefetches_;
  return held;
}

void OriginSlots::Release(Held held) {
  --in_use_;
  if (held.young) --young_;
  if (held.prefetch) --prefetches_;
}

}  // namespace morsel
