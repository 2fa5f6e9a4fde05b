// SPDX-License-Identifier: Apache-2.0
#include "origin/document.h"

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/random.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxDocumentBytes = 1 * kMiB;
constexpr int64_t kFormat = 1;
constexpr int kMaxAttempts = 40;
constexpr auto kMinPause = std::chrono::microseconds(1000);
constexpr auto kMaxPause = std::chrono::microseconds(5'000'000);

// Two who lose to each other again and again part by chance; who lost once
// tries again at once. An announcement overtaken by another's is a race lost,
// so those who keep pace with each other would lose for ever: the pauses are
// measured by how long an attempt takes, whatever the store's speed
// (binary exponential backoff, as Ethernet's).
void Pause(int attempt, std::chrono::microseconds attempt_time) {
  if (attempt == 0) return;
  uint32_t random;
  SystemRandom().Fill(std::as_writable_bytes(std::span(&random, 1)));
  const auto limit =
      std::min(std::max(kMinPause, attempt_time) * (1 << std::min(attempt, 5)),
               kMaxPause);
  const Deadline until =
      SystemClock().Now() + limit * (random >> 8) / (1 << 24);
  Mutex mutex;
  CondVar nothing;
  const MutexLock lock(mutex);
  while (nothing.WaitUntil(mutex, until)) continue;
}

std::string Text(Json json) {
  json["format"] = kFormat;
  return json.Dump() + "\n";
}

}  // namespace

Result<Document> ReadDocument(ObjectStore& store, const std::string& key) {
  ASSIGN_OR_RETURN(ObjectData data, store.Get(key, 0, kMaxDocumentBytes));
  const auto corrupt = [&](std::string_view why) {
    return MakeError(Code::kCorrupt, "the origin's " + key +
                                         " is damaged: " + std::string(why));
  };
  if (data.info.size_bytes > kMaxDocumentBytes)
    return corrupt("it is larger than 1 MiB");
  Result<Json> json = Json::Parse(AsText(data.bytes));
  if (!json.ok()) return corrupt(json.error().message);
  if (json->AsObject() == nullptr) return corrupt("it is no JSON object");
  const Result<int64_t> format = json->GetInt("format");
  if (!format.ok()) return corrupt(format.error().message);
  if (*format != kFormat)
    return MakeError(Code::kCorrupt,
                     "the origin's " + key + " has the format " +
                         std::to_string(*format) +
                         ", which this Morsel does not know: use a newer one");
  return Document{std::move(json).value(), std::move(data.info)};
}

Status CreateDocument(ObjectStore& store, const std::string& key, Json json) {
  return store.PutIfAbsent(key, AsBytes(Text(std::move(json))));
}

Status ReplaceDocument(ObjectStore& store, const std::string& key, Json json,
                       const std::string& version) {
  return store.ReplaceIfUnchanged(key, AsBytes(Text(std::move(json))), version);
}

Status PutDocument(ObjectStore& store, const std::string& key, Json json) {
  return store.Put(key, AsBytes(Text(std::move(json))));
}

Status CheckMembers(const Json& json,
                    std::initializer_list<std::string_view> members) {
  if (json.AsObject() == nullptr)
    return MakeError(Code::kCorrupt, "an object is expected");
  for (const auto& [name, value] : *json.AsObject())
    if (name != "format" &&
        std::find(members.begin(), members.end(), name) == members.end())
      return MakeError(Code::kCorrupt, "member " + name + ": not known");
  return Ok();
}

Status RetryWhileChanged(const std::string& what,
                         const std::function<Status()>& attempt) {
  for (int i = 0; i < kMaxAttempts; ++i) {
    const Deadline begin = SystemClock().Now();
    Status done = attempt();
    if (done.ok() || done.error().code != Code::kExists) return done;
    Pause(i, std::chrono::duration_cast<std::chrono::microseconds>(
                 SystemClock().Now() - begin));
  }
  return MakeError(Code::kUnavailable,
                   what + ": others kept changing it; try again");
}

}  // namespace morsel
