// SPDX-License-Identifier: Apache-2.0
#include "localcache/fetch_pipeline.h"

#include <algorithm>

#include "base/log.h"

namespace morsel {
namespace {

// A young device's flights that wait for a slot become an old one's without
// any event: so often is looked.
constexpr std::chrono::seconds kLookAgain(1);

// Where several roots failed, the error that gives the most hope: what was
// unavailable may come back, what is damaged is there at least.
int Rank(const Status& status) {
  if (status.ok()) return 0;
  if (status.error().code == Code::kNotFound) return 1;
  return status.error().code == Code::kCorrupt ? 2 : 3;
}

void AddOnce(std::vector<std::string>& list, std::string text) {
  if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end())
    list.push_back(std::move(text));
}

Error DamagedError(const ChunkRef& ref) {
  return MakeError(Code::kCorrupt,
                   "chunk " + ref.name.ToString() + " in root " + ref.root +
                       " is damaged in the origin: `morsel verify IMAGE` shows "
                       "it, and `morsel convert --rewrite` of the image's "
                       "source writes it anew");
}

}  // namespace

FetchPipeline::FetchPipeline(const FetchOptions& options,
                             const FetchTiers& tiers, ArenaWriter& arena,
                             LocalCacheMetrics& metrics, Clock& clock)
    : tiers_(tiers),
      arena_(arena),
      metrics_(metrics),
      clock_(clock),
      slots_(options.origin_requests) {
  for (uint32_t i = 0; i < options.near_threads; ++i)
    threads_.emplace_back([this] { WorkNear(); });
  for (uint32_t i = 0; i < options.origin_requests; ++i)
    threads_.emplace_back([this] { WorkFar(); });
}

FetchPipeline::~FetchPipeline() {
  Drain();
  MutexLock lock(mutex_);
  stop_ = true;
  near_queued_.NotifyAll();
  far_queued_.NotifyAll();
}

void FetchPipeline::Submit(FetchRequest request, Answer answer) {
  const bool demand = request.urgency == Urgency::kDemand;
  metrics_.requests.Add();
  MutexLock lock(mutex_);
  auto& flight = flights_[{request.ref.name, request.ref.stored_length}];
  const bool is_new = flight == nullptr;
  if (is_new) {
    flight = std::make_shared<Flight>();
    flight->ref = request.ref;
  }
  const bool raises = !is_new && demand && !flight->demand;
  AddOnce(flight->roots, std::move(request.ref.root));
  AddOnce(flight->manifests, std::move(request.manifest_id));
  flight->deadline = std::max(flight->deadline, request.deadline);
  flight->attached = std::min(flight->attached, request.attached);
  flight->demand |= demand;
  flight->owned |= request.owned;
  flight->suspect |= request.suspect;
  flight->answers.push_back(std::move(answer));
  if (!demand && request.is_wanted)
    flight->wanters.push_back(std::move(request.is_wanted));
  if (raises) metrics_.raised.Add();
  if (is_new || (raises && !flight->running)) Enqueue(flight);
}

void FetchPipeline::Enqueue(const FlightPtr& flight) {
  (flight->far ? far_ : near_).Push(flight);
  (flight->far ? far_queued_ : near_queued_).NotifyOne();
  metrics_.queued.Set(static_cast<int64_t>(far_.size()));
}

void FetchPipeline::Drain() {
  MutexLock lock(mutex_);
  draining_ = true;
  const auto is_demand = [](const auto& each) { return each.second->demand; };
  while (std::any_of(flights_.begin(), flights_.end(), is_demand))
    landed_.Wait(mutex_);
}

bool FetchPipeline::IsPrefetching() const {
  MutexLock lock(mutex_);
  return std::any_of(flights_.begin(), flights_.end(),
                     [](const auto& each) { return each.second->running; });
}

FlightPtr FetchPipeline::TakeNear() {
  MutexLock lock(mutex_);
  while (true) {
    const bool draining = draining_;
    if (auto flight = near_.Take(
            [&](const Flight& each) { return each.demand || !draining; })) {
      flight->running = true;
      return flight;
    }
    if (stop_) return nullptr;
    near_queued_.Wait(mutex_);
  }
}

FlightPtr FetchPipeline::TakeFar(OriginSlots::Held& held) {
  MutexLock lock(mutex_);
  while (true) {
    const auto now = clock_.Now();
    // Clang does not see that the lock is held in there.
    const OriginSlots* const slots = &slots_;
    const bool draining = draining_;
    auto flight = far_.Take([&](const Flight& each) {
      return (each.demand || !draining) && slots->MayGo(each, now);
    });
    if (flight != nullptr) {
      flight->running = true;
      held = slots_.Take(*flight, now);
      metrics_.queued.Set(static_cast<int64_t>(far_.size()));
      metrics_.origin_in_flight.Set(slots_.in_use());
      if (slots_.in_use() > metrics_.origin_in_flight_peak.value())
        metrics_.origin_in_flight_peak.Set(slots_.in_use());
      return flight;
    }
    if (stop_) return nullptr;
    if (far_.size() == 0)
      far_queued_.Wait(mutex_);
    else
      (void)far_queued_.WaitUntil(mutex_, SystemClock().Now() + kLookAgain);
  }
}

void FetchPipeline::WorkNear() {
  while (const auto flight = TakeNear()) {
    while (true) {
      const std::optional<FetchAnswer> answer = Near(*flight);
      if (answer.has_value()) {
        if (Land(flight, *answer)) break;
        continue;
      }
      MutexLock lock(mutex_);
      flight->running = false;
      flight->far = true;
      Enqueue(flight);
      break;
    }
  }
}

void FetchPipeline::WorkFar() {
  OriginSlots::Held held;
  while (const auto flight = TakeFar(held)) {
    while (true) {
      std::optional<FetchAnswer> answer = Late(*flight);
      // Someone may have wanted the bytes of what is in the arena by now.
      if (!answer.has_value()) answer = FromArena(*flight);
      if (!answer.has_value()) answer = FromOrigin(*flight);
      if (Land(flight, *answer)) break;
    }
    MutexLock lock(mutex_);
    slots_.Release(held);
    metrics_.origin_in_flight.Set(slots_.in_use());
    far_queued_.NotifyOne();
  }
}

std::optional<FetchAnswer> FetchPipeline::Late(Flight& flight) {
  MutexLock lock(mutex_);
  const auto is_wanted = [](const auto& ask) { return ask(); };
  if (!flight.demand && !flight.wanters.empty() &&
      std::none_of(flight.wanters.begin(), flight.wanters.end(), is_wanted))
    return FetchAnswer{MakeError(
        Code::kTimeout,
        "chunk " + flight.ref.name.Short() + ": nobody waits for it any more")};
  if (flight.deadline >= clock_.Now()) return std::nullopt;
  return FetchAnswer{MakeError(
      Code::kTimeout, "chunk " + flight.ref.name.Short() +
                          ": the deadline passed in the queue of the local "
                          "cache")};
}

std::optional<FetchAnswer> FetchPipeline::Near(Flight& flight) {
  CheckSlot(flight);
  if (auto answer = Late(flight)) return answer;
  if (auto answer = FromArena(flight)) return answer;
  if (tiers_.flash != nullptr)
    if (auto answer = FromTier(flight, *tiers_.flash, metrics_.flash))
      return answer;
  if (tiers_.zone_cache != nullptr)
    if (auto answer = FromTier(flight, *tiers_.zone_cache, metrics_.zone_cache))
      return answer;
  return std::nullopt;
}

void FetchPipeline::CheckSlot(Flight& flight) {
  {
    MutexLock lock(mutex_);
    if (!std::exchange(flight.suspect, false)) return;
  }
  if (arena_.Check(flight.ref.name) != SlotCheck::kDropped) return;
  ++dropped_slots_;
  metrics_.arena.corrupt.Add();
  flight.damaged = true;
  LogWarn("damaged chunk dropped from the local cache",
          {{"chunk", flight.ref.name.ToString()}, {"tier", "arena"}});
}

std::optional<FetchAnswer> FetchPipeline::FromArena(Flight& flight) {
  bool owned = false;
  {
    MutexLock lock(mutex_);
    owned = flight.owned;
  }
  const ChunkRef& ref = flight.ref;
  if (!arena_.Contains(ref.name, ref.stored_length)) return std::nullopt;
  if (!owned) return FetchAnswer{Ok(), true};
  auto bytes = arena_.Read(ref.name);
  if (!bytes.ok()) return std::nullopt;
  if (ref.name.Matches(*bytes))
    return FetchAnswer{Ok(), true,
                       std::make_shared<const Bytes>(std::move(*bytes))};
  {
    MutexLock lock(mutex_);
    flight.suspect = true;
  }
  CheckSlot(flight);
  return std::nullopt;
}

std::optional<FetchAnswer> FetchPipeline::FromTier(Flight& flight,
                                                   ChunkSource& source,
                                                   TierMetrics& tier) {
  ChunkRef ref = flight.ref;
  Want want{{}, Urgency::kDemand, 0, ref.stored_length, true};
  {
    MutexLock lock(mutex_);
    ref.root = flight.roots.front();
    want.deadline = flight.deadline;
    if (!flight.demand) want.urgency = Urgency::kPrefetch;
  }
  auto bytes = Fetch(flight, source, tier, ref, want);
  if (!bytes.ok()) return std::nullopt;
  // What is on flash already is not offered to it again.
  if (&tier != &metrics_.flash && tiers_.flash_sink != nullptr)
    tiers_.flash_sink->Offer(ref, **bytes);
  return Keep(flight, std::move(*bytes));
}

FetchAnswer FetchPipeline::FromOrigin(Flight& flight) {
  ChunkRef ref = flight.ref;
  while (true) {
    Want want{{}, Urgency::kDemand, 0, ref.stored_length, true};
    {
      MutexLock lock(mutex_);
      if (flight.roots_tried == flight.roots.size()) break;
      ref.root = flight.roots[flight.roots_tried++];
      want.deadline = flight.deadline;
    }
    auto bytes = Fetch(flight, *tiers_.origin, metrics_.origin, ref, want);
    if (bytes.ok()) {
      FetchAnswer answer = Keep(flight, *bytes);
      if (tiers_.flash_sink != nullptr) tiers_.flash_sink->Offer(ref, **bytes);
      if (tiers_.zone_cache_sink != nullptr)
        tiers_.zone_cache_sink->Offer(ref, **bytes);
      return answer;
    }
    if (bytes.error().code == Code::kNotFound) Follow(flight, ref.root);
    Status status = bytes.error().code == Code::kCorrupt
                        ? Status(DamagedError(ref))
                        : Status(std::move(bytes).error());
    if (Rank(status) > Rank(flight.error)) flight.error = std::move(status);
  }
  return {flight.error};
}

// That the record cannot be read now is no "not found": who waits asks again.
void FetchPipeline::Follow(Flight& flight, const std::string& root) {
  if (tiers_.leases == nullptr) return;
  std::vector<std::string> manifests;
  {
    MutexLock lock(mutex_);
    manifests = flight.manifests;
  }
  for (const std::string& id : manifests) {
    Result<std::string> now = tiers_.leases->Follow(id, root);
    if (now.ok()) {
      MutexLock lock(mutex_);
      AddOnce(flight.roots, std::move(now).value());
    } else if (Status status(std::move(now).error());
               Rank(status) > Rank(flight.error)) {
      flight.error = std::move(status);
    }
  }
}

bool FetchPipeline::Verifies(const ChunkSource& source) const {
  if (&source == tiers_.flash) return tiers_.flash_verifies;
  if (&source == tiers_.zone_cache) return tiers_.zone_cache_verifies;
  return tiers_.origin_verifies;
}

Result<FetchPipeline::BytesPtr> FetchPipeline::Fetch(Flight& flight,
                                                     ChunkSource& source,
                                                     TierMetrics& tier,
                                                     const ChunkRef& ref,
                                                     Want want) {
  const auto begun = clock_.Now();
  auto view = source.Get(ref, want);
  if (view.ok()) {
    Bytes bytes = view->Take();
    if (view->still_valid() && bytes.size() == ref.stored_length &&
        (Verifies(source) || ref.name.Matches(bytes))) {
      tier.hits.Add();
      tier.bytes.Add(bytes.size());
      tier.seconds.Observe(clock_.Now() - begun);
      return std::make_shared<const Bytes>(std::move(bytes));
    }
  } else if (view.error().code != Code::kCorrupt) {
    const bool missed = view.error().code == Code::kNotFound;
    (missed ? tier.misses : tier.errors).Add();
    return std::move(view).error();
  }
  tier.corrupt.Add();
  flight.damaged = true;
  LogError("damaged chunk refused", {{"chunk", ref.name.ToString()},
                                     {"root", ref.root},
                                     {"tier", tier.name}});
  return MakeError(Code::kCorrupt, "chunk " + ref.name.ToString() +
                                       " is damaged in the tier " + tier.name);
}

FetchAnswer FetchPipeline::Keep(const Flight& flight, BytesPtr bytes) {
  if (flight.damaged) {
    metrics_.healed.Add();
    LogInfo("chunk healed", {{"chunk", flight.ref.name.ToString()}});
  }
  const bool in_arena = arena_.Put(flight.ref.name, *bytes).ok();
  return {Ok(), in_arena, std::move(bytes)};
}

bool FetchPipeline::Land(const FlightPtr& flight, const FetchAnswer& answer) {
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
