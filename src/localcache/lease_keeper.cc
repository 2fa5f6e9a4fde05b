// SPDX-License-Identifier: Apache-2.0
#include "localcache/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace morsel {
namespace {

// What failed for want of an answer is tried again so often.
constexpr std::chrono::seconds kTryAgain(30);
constexpr std::chrono::hours kLongWait(1);

bool IsAway(const Status& status) {
  if (status.ok()) return false;
  const Code code = status.error().code;
  return code != Code::kNotFound && code != Code::kDenied;
}

}  // namespace

LeaseKeeper::LeaseKeeper(ObjectStore& store, Clock& clock,
                         LocalCacheMetrics& metrics, LeaseOptions options)
    : store_(store),
      clock_(clock),
      metrics_(metrics),
      options_(std::move(options)),
      reader_("a device of " + options_.worker) {
  CHECK(IsHolderName(options_.worker));
}

LeaseKeeper::~LeaseKeeper() { Stop(); }

void LeaseKeeper::Start() {
  thread_ = std::jthread([this] { Work(); });
}

void LeaseKeeper::Stop() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void LeaseKeeper::Work() {
  while (true) {
    const Deadline due = DoWhatIsDue();
    MutexLock lock(mutex_);
    const Deadline until = std::min(due, clock_.Now() + kLongWait);
    while (!stop_ && !has_news_)
      if (!changed_.WaitUntil(mutex_, until)) break;
    if (stop_) return;
    has_news_ = false;
  }
}

void LeaseKeeper::Attach(const std::string& manifest_id,
                         const std::string& root) {
  MutexLock lock(mutex_);
  Entry& entry = entries_[manifest_id];
  if (entry.root.empty()) entry.root = root;
  if (entry.clients++ > 0) return;
  entry.due = clock_.Now();
  has_news_ = true;
  changed_.NotifyAll();
}

void LeaseKeeper::Detach(const std::string& manifest_id) {
  MutexLock lock(mutex_);
  const auto it = entries_.find(manifest_id);
  CHECK(it != entries_.end() && it->second.clients > 0);
  if (--it->second.clients > 0) return;
  it->second.left = clock_.Now();
  it->second.due = it->second.left + options_.linger;
  has_news_ = true;
  changed_.NotifyAll();
}

std::optional<std::string> LeaseKeeper::RootOf(const std::string& manifest_id) {
  MutexLock lock(mutex_);
  const auto it = entries_.find(manifest_id);
  if (it == entries_.end()) return std::nullopt;
  return it->second.root;
}

Result<std::string> LeaseKeeper::Follow(const std::string& manifest_id,
                                        const std::string& root) {
  const std::optional<std::string> known = RootOf(manifest_id);
  if (known.has_value() && *known != root) return *known;
  ASSIGN_OR_RETURN(const ManifestPlace place,
                   FindManifest(store_, manifest_id));
  Note(manifest_id, place);
  return place.record.root;
}

// A read of an expired root is an alarm, which the next renewal raises.
void LeaseKeeper::Note(const std::string& manifest_id,
                       const ManifestPlace& place) {
  std::string before;
  {
    MutexLock lock(mutex_);
    const auto it = entries_.find(manifest_id);
    if (it == entries_.end()) return;
    before = std::exchange(it->second.root, place.record.root);
    if (place.is_expired() && !it->second.is_working) {
      it->second.due = clock_.Now();
      has_news_ = true;
      changed_.NotifyAll();
    }
  }
  if (before == place.record.root) return;
  metrics_.moved_images.Add();
  LogInfo(
      "an image is followed to another root",
      {{"manifest", manifest_id}, {"from", before}, {"to", place.record.root}});
}

std::optional<LeaseKeeper::Task> LeaseKeeper::TakeDue() {
  MutexLock lock(mutex_);
  if (stop_) return std::nullopt;
  const Deadline now = clock_.Now();
  for (auto& [id, entry] : entries_) {
    if (entry.is_working || entry.due > now) continue;
    entry.is_working = true;
    return Task{id, entry.clients == 0};
  }
  return std::nullopt;
}

Deadline LeaseKeeper::DoWhatIsDue() {
  while (const std::optional<Task> task = TakeDue())
    if (task->is_end)
      End(task->manifest_id);
    else
      Renew(task->manifest_id);
  MutexLock lock(mutex_);
  Deadline due = Deadline::max();
  for (const auto& [id, entry] : entries_) due = std::min(due, entry.due);
  return due;
}

Result<ManifestPlace> LeaseKeeper::Look(const std::string& manifest_id,
                                        bool& is_held) {
  Result<ManifestPlace> place =
      RenewLease(store_, clock_, manifest_id, options_.worker, reader_);
  is_held = place.ok();
  if (!place.ok()) metrics_.lease_errors.Add();
  if (!place.ok() && place.error().code == Code::kDenied) {
    SayDenied(place.error());
    place = FindManifest(store_, manifest_id);
  }
  if (place.ok() && place->is_expired()) {
    metrics_.alarms.Add();
    LogError(is_held ? "a read of an expired root: the alarm stops all deletion"
                     : "a read of an expired root, and no right to raise the "
                       "alarm: whoever runs the collector must know",
             {{"root", place->record.root}, {"manifest", manifest_id}});
  }
  return place;
}

void LeaseKeeper::Renew(const std::string& manifest_id) {
  bool is_held = false;
  const Result<ManifestPlace> place = Look(manifest_id, is_held);
  const Status status =
      place.ok() ? Status(Ok()) : Status(Error(place.error()));
  SayAway(status);
  if (place.ok()) Note(manifest_id, *place);
  const bool is_lost = !place.ok() && place.error().code == Code::kNotFound;
  bool was_lost = false;
  {
    MutexLock lock(mutex_);
    Entry& entry = entries_[manifest_id];
    entry.is_working = false;
    entry.is_held = is_held;
    was_lost = std::exchange(entry.is_lost, is_lost);
    const auto pause = IsAway(status) ? kTryAgain : options_.period / 3;
    entry.due =
        entry.clients > 0 ? clock_.Now() + pause : entry.left + options_.linger;
    CountHeld();
  }
  if (is_lost && !was_lost)
    LogError(
        "the image of an attached device was collected: what is in no "
        "cache cannot be read any more",
        {{"manifest", manifest_id}, {"cause", place.error().message}});
}

void LeaseKeeper::End(const std::string& manifest_id) {
  const Status ended = EndLease(store_, manifest_id, options_.worker);
  if (!ended.ok()) metrics_.lease_errors.Add();
  MutexLock lock(mutex_);
  const auto it = entries_.find(manifest_id);
  it->second.is_working = false;
  // Somebody has come meanwhile: it is due still. What could not be ended ends
  // by itself.
  it->second.is_held = false;
  if (it->second.clients == 0) entries_.erase(it);
  CountHeld();
}

void LeaseKeeper::EndAll() {
  Stop();
  std::map<std::string, Entry> entries;
  {
    MutexLock lock(mutex_);
    entries = std::exchange(entries_, {});
    CountHeld();
  }
  for (const auto& [id, entry] : entries) {
    if (!entry.is_held) continue;
    const Status ended = EndLease(store_, id, options_.worker);
    if (!ended.ok()) metrics_.lease_errors.Add();
  }
}

void LeaseKeeper::CountHeld() {
  metrics_.leases.Set(
      std::count_if(entries_.begin(), entries_.end(),
                    [](const auto& row) { return row.second.is_held; }));
}

void LeaseKeeper::SayDenied(const Error& error) {
  if (std::exchange(denied_said_, true)) return;
  LogWarn(
      "no leases: an image that nothing else names may be collected while "
      "its device is attached; docs/operations.md, \"Roots\"",
      {{"worker", options_.worker}, {"cause", error.message}});
}

void LeaseKeeper::SayAway(const Status& status) {
  if (IsAway(status) == std::exchange(away_said_, IsAway(status))) return;
  if (IsAway(status))
    LogWarn("leases are not renewed, and images not followed",
            {{"worker", options_.worker}, {"cause", status.error().message}});
  else
    LogInfo("leases are renewed again", {{"worker", options_.worker}});
}

}  // namespace morsel
