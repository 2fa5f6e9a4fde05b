// SPDX-License-Identifier: Apache-2.0
#include "localcache/fetch_pipeline.h"

#include <algorithm>

#include "base/log.h"

namespace morsel {
namespace {

// Where several roots failed, the error that gives the most hope: what was
// unavailable may come back, what is damaged is there at least.
int Rank(const Status& status) {
  if (status.ok()) return 0;
  if (status.error().code == Code::kNotFound) return 1;
  return status.error().code == Code::kCorrupt ? 2 : 3;
}

}  // namespace

FetchPipeline::FetchPipeline(size_t thread_count, bool origin_verifies,
                             ArenaWriter& arena, ChunkSource& origin,
                             Clock& clock)
    : origin_verifies_(origin_verifies),
      arena_(arena),
      origin_(origin),
      clock_(clock) {
  for (size_t i = 0; i < thread_count; ++i)
    threads_.emplace_back([this] { Work(); });
}

FetchPipeline::~FetchPipeline() {
  MutexLock lock(mutex_);
  stop_ = true;
  queued_.NotifyAll();
}

void FetchPipeline::Submit(FetchRequest request, Answer answer) {
  const bool demand = request.urgency == Urgency::kDemand;
  MutexLock lock(mutex_);
  auto& flight = flights_[{request.ref.name, request.ref.stored_length}];
  const bool is_new = flight == nullptr;
  if (is_new) {
    flight = std::make_shared<Flight>();
    flight->ref = request.ref;
  }
  // A raised prefetch stays in the other queue too; who comes second to a
  // flight finds that it is taken.
  if (is_new || (demand && !flight->demand && !flight->taken)) {
    (demand ? demands_ : prefetches_).push_back(flight);
    queued_.NotifyOne();
  }
  auto& roots = flight->roots;
  if (std::find(roots.begin(), roots.end(), request.ref.root) == roots.end())
    roots.push_back(std::move(request.ref.root));
  flight->deadline = std::max(flight->deadline, request.deadline);
  flight->demand |= demand;
  flight->owned |= request.owned;
  flight->suspect |= request.suspect;
  flight->answers.push_back(std::move(answer));
}

void FetchPipeline::Drain() {
  MutexLock lock(mutex_);
  while (!flights_.empty()) landed_.Wait(mutex_);
}

FetchStats FetchPipeline::Stats() const {
  return {origin_gets_, origin_bytes_, corrupt_chunks_, dropped_slots_};
}

std::shared_ptr<FetchPipeline::Flight> FetchPipeline::TakeFlight() {
  MutexLock lock(mutex_);
  while (true) {
    for (auto* queue : {&demands_, &prefetches_}) {
      while (!queue->empty()) {
        std::shared_ptr<Flight> flight = std::move(queue->front());
        queue->pop_front();
        if (std::exchange(flight->taken, true)) continue;
        return flight;
      }
    }
    if (stop_) return nullptr;
    queued_.Wait(mutex_);
  }
}

void FetchPipeline::Work() {
  while (const auto flight = TakeFlight())
    while (!Land(flight, Obtain(*flight))) continue;
}

FetchAnswer FetchPipeline::Obtain(Flight& flight) {
  bool suspect = false;
  {
    MutexLock lock(mutex_);
    suspect = std::exchange(flight.suspect, false);
    if (flight.deadline < clock_.Now())
      return {MakeError(Code::kTimeout, "chunk " + flight.ref.name.Short() +
                                            ": the deadline passed in the "
                                            "queue of the local cache")};
  }
  if (suspect && arena_.Check(flight.ref.name) == SlotCheck::kDropped) {
    ++dropped_slots_;
    LogWarn("damaged chunk dropped from the local cache",
            {{"chunk", flight.ref.name.ToString()}, {"tier", "arena"}});
  }
  FetchAnswer answer = FromArena(flight);
  return answer.status.ok() ? answer : FromOrigin(flight);
}

FetchAnswer FetchPipeline::FromArena(Flight& flight) {
  bool owned = false;
  {
    MutexLock lock(mutex_);
    owned = flight.owned;
  }
  const ChunkRef& ref = flight.ref;
  const Error absent = MakeError(Code::kNotFound, "not in the arena");
  if (!arena_.Contains(ref.name, ref.stored_length)) return {absent};
  if (!owned) return {Ok(), true};
  auto bytes = arena_.Read(ref.name);
  if (!bytes.ok()) return {absent};
  if (!ref.name.Matches(*bytes)) {
    if (arena_.Check(ref.name) == SlotCheck::kDropped) ++dropped_slots_;
    return {absent};
  }
  return {Ok(), true, std::make_shared<const Bytes>(std::move(*bytes))};
}

FetchAnswer FetchPipeline::FromOrigin(Flight& flight) {
  ChunkRef ref = flight.ref;
  while (true) {
    Deadline deadline{};
    {
      MutexLock lock(mutex_);
      if (flight.roots_tried == flight.roots.size()) break;
      ref.root = flight.roots[flight.roots_tried++];
      deadline = flight.deadline;
    }
    auto fetched = FetchVerified(ref, deadline);
    if (fetched.ok()) {
      const auto bytes =
          std::make_shared<const Bytes>(std::move(fetched).value());
      return {Ok(), arena_.Put(ref.name, *bytes).ok(), bytes};
    }
    Status status = std::move(fetched).error();
    if (Rank(status) > Rank(flight.error)) flight.error = std::move(status);
  }
  return {flight.error};
}

Result<Bytes> FetchPipeline::FetchVerified(const ChunkRef& ref,
                                           Deadline deadline) {
  ++origin_gets_;
  const Want want{deadline, Urgency::kDemand, 0, ref.stored_length, true};
  auto view = origin_.Get(ref, want);
  if (view.ok()) {
    Bytes bytes = view->Copy();
    origin_bytes_ += bytes.size();
    if (bytes.size() == ref.stored_length &&
        (origin_verifies_ || ref.name.Matches(bytes)))
      return bytes;
  } else if (view.error().code != Code::kCorrupt) {
    return std::move(view).error();
  }
  ++corrupt_chunks_;
  LogError(
      "damaged chunk refused",
      {{"chunk", ref.name.ToString()}, {"root", ref.root}, {"tier", "origin"}});
  return MakeError(Code::kCorrupt,
                   "chunk " + ref.name.ToString() + " in root " + ref.root +
                       " is damaged in the origin: `morsel verify` lists the "
                       "images that it belongs to; convert them again");
}

bool FetchPipeline::Land(const std::shared_ptr<Flight>& flight,
                         const FetchAnswer& answer) {
  std::vector<Answer> answers;
  {
    MutexLock lock(mutex_);
    const bool lacks_bytes =
        answer.status.ok() && flight->owned && answer.bytes == nullptr;
    const bool has_roots = flight->roots_tried < flight->roots.size();
    const bool timed_out =
        !answer.status.ok() && answer.status.error().code == Code::kTimeout;
    if (lacks_bytes || (!answer.status.ok() && has_roots && !timed_out))
      return false;
    flights_.erase({flight->ref.name, flight->ref.stored_length});
    answers = std::move(flight->answers);
    flight->answers.clear();
  }
  for (const Answer& each : answers) each(answer);
  MutexLock lock(mutex_);
  landed_.NotifyAll();
  return true;
}

}  // namespace morsel
