// SPDX-License-Identifier: Apache-2.0
#include "chunk/coalesce_source.h"

#include <algorithm>

namespace morsel {
namespace {

Error Late(const ChunkRef& ref) {
  return MakeError(Code::kTimeout,
                   "chunk " + ref.name.Short() +
                       ": the deadline passed while another fetched it");
}

}  // namespace

CoalesceSource::FlightPtr CoalesceSource::Join(const Key& key,
                                               const std::string& root) {
  FlightPtr& flight = flights_[key];
  if (flight == nullptr) flight = std::make_shared<Flight>();
  ++flight->member_count;
  ++flight->roots[root];
  return flight;
}

void CoalesceSource::Leave(const Key& key, const FlightPtr& flight,
                           const std::string& root) {
  --flight->member_count;
  const auto found = flight->roots.find(root);
  if (--found->second == 0) flight->roots.erase(found);
  if (flight->member_count == 0) End(key, flight);
  // Who waits may have to ask now, or to give up.
  flight->changed.NotifyAll();
}

void CoalesceSource::End(const Key& key, const FlightPtr& flight) {
  // After its end another flight of the same chunk may have begun.
  const auto found = flights_.find(key);
  if (found != flights_.end() && found->second == flight) flights_.erase(found);
}

CoalesceSource::Turn CoalesceSource::AwaitTurn(const Key& key,
                                               const FlightPtr& flight,
                                               const std::string& root,
                                               Deadline deadline) {
  while (!flight->done) {
    if (!flight->asking) {
      if (!flight->tried.contains(root)) return Turn::kAsk;
      const bool all_tried =
          std::ranges::all_of(flight->roots, [&](const auto& entry) {
            return flight->tried.contains(entry.first);
          });
      if (all_tried) {
        flight->done = true;
        End(key, flight);
        flight->changed.NotifyAll();
        break;
      }
    }
    ++waiting_;
    const bool in_time = flight->changed.WaitUntil(mutex_, deadline);
    --waiting_;
    if (!in_time && !flight->done) return Turn::kLate;
  }
  return Turn::kAnswer;
}

std::optional<Result<ChunkView>> CoalesceSource::Ask(const FlightPtr& flight,
                                                     const Key& key,
                                                     const ChunkRef& ref,
                                                     const Want& want) {
  Want whole = want;
  whole.offset = 0;
  whole.length = ref.stored_length;
  Result<ChunkView> view = next_.Get(ref, whole);
  {
    const MutexLock lock(mutex_);
    if (flight->member_count == 1) {  // nobody to share with: no copy
      flight->asking = false;
      End(key, flight);
      return view;
    }
  }
  std::shared_ptr<const Bytes> bytes;
  if (view.ok()) bytes = std::make_shared<const Bytes>(view->Copy());
  if (view.ok() && !view->still_valid()) {
    whole.owned = true;
    view = next_.Get(ref, whole);
    if (view.ok()) bytes = std::make_shared<const Bytes>(view->Copy());
  }
  const MutexLock lock(mutex_);
  flight->asking = false;
  flight->changed.NotifyAll();
  if (!view.ok() && view.error().code == Code::kTimeout) return view;
  if (!view.ok() && view.error().code == Code::kNotFound) {
    flight->tried.insert(ref.root);
    flight->error = view.error();
    return std::nullopt;
  }
  flight->done = true;
  End(key, flight);
  if (view.ok()) {
    flight->bytes = std::move(bytes);
  } else {
    flight->error = view.error();
  }
  return view;
}

Result<ChunkView> CoalesceSource::Get(const ChunkRef& ref, const Want& want) {
  const Key key(ref.name, ref.stored_length);
  FlightPtr flight;
  std::optional<Result<ChunkView>> answer;
  {
    const MutexLock lock(mutex_);
    flight = Join(key, ref.root);
  }
  while (!answer) {
    Turn turn;
    {
      const MutexLock lock(mutex_);
      turn = AwaitTurn(key, flight, ref.root, want.deadline);
      if (turn == Turn::kAsk) flight->asking = true;
    }
    if (turn == Turn::kAsk) {
      answer = Ask(flight, key, ref, want);
    } else if (turn == Turn::kLate) {
      answer = Late(ref);
    } else if (flight->bytes != nullptr) {
      answer = ChunkView::Owned(Bytes(*flight->bytes));
    } else {
      answer = flight->error;
    }
  }
  const MutexLock lock(mutex_);
  Leave(key, flight, ref.root);
  return *std::move(answer);
}

size_t CoalesceSource::waiting() const {
  const MutexLock lock(mutex_);
  return waiting_;
}

}  // namespace morsel
