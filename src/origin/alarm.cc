// SPDX-License-Identifier: Apache-2.0
#include "origin/alarm.h"

#include "base/json.h"
#include "origin/document.h"
#include "origin/next_step.h"

namespace morsel {
namespace {

constexpr const char* kAlarmsFolder = "alarms/";
constexpr size_t kListPage = 1000;

Json EncodeAlarm(const Alarm& alarm) {
  Json json;
  json["root"] = alarm.root;
  json["manifest_id"] = alarm.manifest_id;
  json["worker"] = alarm.worker;
  json["reader"] = alarm.reader;
  json["at"] = alarm.at_unix_seconds;
  json["raised"] = alarm.raised;
  json["acknowledged"] = alarm.acknowledged;
  return json;
}

Alarm DecodeAlarm(const Json& json) {
  return {.root = json.StringOr("root", ""),
          .manifest_id = json.StringOr("manifest_id", ""),
          .worker = json.StringOr("worker", ""),
          .reader = json.StringOr("reader", ""),
          .at_unix_seconds = json.IntOr("at", 0),
          .raised = json.IntOr("raised", 1),
          .acknowledged = json.BoolOr("acknowledged", false)};
}

// Made, or raised again if it was acknowledged. One try.
Status RaiseOnce(ObjectStore& store, Alarm alarm) {
  const std::string key = AlarmKey(alarm);
  const Status made = CreateDocument(store, key, EncodeAlarm(alarm));
  if (made.ok() || made.error().code != Code::kExists) return made;
  const Result<Document> standing = ReadDocument(store, key);
  if (!standing.ok()) return WithNextStep(standing.error(), key);
  const Alarm seen = DecodeAlarm(standing->json);
  if (!seen.acknowledged) return Ok();
  alarm.raised = seen.raised + 1;
  return ReplaceDocument(store, key, EncodeAlarm(alarm),
                         standing->info.version);
}

}  // namespace

std::string AlarmKey(const Alarm& alarm) {
  return kAlarmsFolder + alarm.root + "/" + alarm.manifest_id + "/" +
         alarm.worker + ".json";
}

Status RaiseAlarm(ObjectStore& store, Clock& clock, Alarm alarm) {
  alarm.at_unix_seconds = clock.UnixSeconds();
  alarm.acknowledged = false;
  return RetryWhileChanged("the alarm " + AlarmKey(alarm),
                           [&] { return RaiseOnce(store, alarm); });
}

Result<std::vector<ShownAlarm>> ListAlarms(ObjectStore& store, bool all) {
  std::vector<ShownAlarm> alarms;
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store.List(kAlarmsFolder, after, kListPage));
    for (const ObjectPage::Row& row : page.rows) {
      const Result<Document> document = ReadDocument(store, row.key);
      if (!document.ok() && document.error().code == Code::kNotFound) continue;
      if (!document.ok()) return WithNextStep(document.error(), row.key);
      ShownAlarm shown{DecodeAlarm(document->json), row.key,
                       document->info.version};
      if (all || !shown.alarm.acknowledged) alarms.push_back(std::move(shown));
    }
    if (!page.more || page.rows.empty()) return alarms;
    after = page.rows.back().key;
  }
}

Status AcknowledgeAlarm(ObjectStore& store, const ShownAlarm& shown) {
  Alarm alarm = shown.alarm;
  alarm.acknowledged = true;
  return ReplaceDocument(store, shown.key, EncodeAlarm(alarm), shown.version);
}

}  // namespace morsel
