// SPDX-License-Identifier: Apache-2.0
#include "gc/delete.h"

#include <utility>

#include "base/parallel.h"
#include "gc/each_key.h"
#include "origin/alarm.h"
#include "origin/document.h"
#include "origin/root_state.h"

namespace morsel {

RootDeletion::RootDeletion(ObjectStore& store, std::string root,
                           std::string_view state, const DeleteOptions& options)
    : store_(store), root_(std::move(root)), state_(state), options_(options) {}

Status RootDeletion::MayGoOn() {
  ASSIGN_OR_RETURN(const Root root, LoadRoot(store_, root_));
  if (!root.Is(state_))
    return MakeError(Code::kExists, "another collector took it on");
  ASSIGN_OR_RETURN(const std::vector<ShownAlarm> alarms,
                   ListAlarms(store_, /*all=*/false));
  if (alarms.empty()) return Ok();
  return MakeError(Code::kExists,
                   "deletion is stopped by " + std::to_string(alarms.size()) +
                       " alarm(s): see `morsel gc status`, and `morsel gc "
                       "resume` when their cause is mended");
}

Status RootDeletion::EmptyRecord(const std::string& key) {
  return RetryWhileChanged(key, [&]() -> Status {
    ASSIGN_OR_RETURN(Document document, ReadDocument(store_, key));
    if (document.json.StringOr("root", "") != root_) return Ok();
    RETURN_IF_ERROR(MayGoOn());
    document.json["root"] = Json();
    document.json["next_root"] = Json();
    document.json["wrapped_keys"] = Json(Json::Object());
    RETURN_IF_ERROR(ReplaceDocument(store_, key, std::move(document.json),
                                    document.info.version));
    ++counts_.records;
    return Ok();
  });
}

Status RootDeletion::EmptyRecords() {
  return ForEachKey(store_, "manifests/", [&](const ObjectPage::Row& row) {
    return EmptyRecord(row.key);
  });
}

Status RootDeletion::DeleteBatch(const std::vector<Doomed>& batch) {
  RETURN_IF_ERROR(MayGoOn());
  if (options_.thread_count <= 1) {
    for (const Doomed& object : batch)
      RETURN_IF_ERROR(store_.Delete(object.key));
  } else {
    JobPool pool(options_.thread_count, batch.size());
    for (const Doomed& object : batch) {
      const Status submitted =
          pool.Submit([&] { return store_.Delete(object.key); });
      if (!submitted.ok()) break;
    }
    RETURN_IF_ERROR(pool.Finish());
  }
  counts_.objects += batch.size();
  for (const Doomed& object : batch) counts_.bytes += object.size_bytes;
  return Ok();
}

Status RootDeletion::DeleteBelow(const std::string& prefix) {
  const std::string state_key = RootStateKey(root_);
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store_.List(prefix, after, options_.batch_size));
    std::vector<Doomed> batch;
    for (const ObjectPage::Row& row : page.rows)
      if (row.key != state_key) batch.push_back({row.key, row.info.size_bytes});
    if (!batch.empty()) RETURN_IF_ERROR(DeleteBatch(batch));
    if (!page.more || page.rows.empty()) return Ok();
    after = page.rows.back().key;
  }
}

Status RootDeletion::DeleteObjects() {
  const std::string folder = "roots/" + root_ + "/";
  RETURN_IF_ERROR(DeleteBelow(folder + "manifests/"));
  RETURN_IF_ERROR(DeleteBelow(folder + "chunks/"));
  return DeleteBelow(folder);
}

}  // namespace morsel
