// SPDX-License-Identifier: Apache-2.0
#include "gc/delete.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/parallel.h"
#include "origin/alarm.h"
#include "origin/document.h"
#include "origin/next_step.h"
#include "origin/root_state.h"

namespace morsel {

namespace {

DeleteOptions WithSmallBatches(DeleteOptions options) {
  if (options.per_second > 0)
    options.batch_size =
        std::min<size_t>(options.batch_size, options.per_second);
  return options;
}

}  // namespace

RootDeletion::RootDeletion(ObjectStore& store, Clock& clock, std::string root,
                           std::string_view state, DeleteOptions options)
    : store_(store),
      paced_(store, clock, {.calls_per_second = options.per_second}),
      root_(std::move(root)),
      state_(state),
      options_(WithSmallBatches(std::move(options))) {}

Status RootDeletion::MayGoOn() {
  if (options_.must_stop && options_.must_stop())
    return MakeError(Code::kExists, "stopped; the next pass goes on");
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

Result<bool> RootDeletion::EmptyRecord(const std::string& key) {
  bool was_emptied = false;
  const Status done = RetryWhileChanged(key, [&]() -> Status {
    Result<Document> read = ReadDocument(store_, key);
    if (!read.ok()) return WithNextStep(std::move(read).error(), key);
    Document document = std::move(read).value();
    if (document.json.StringOr("root", "") != root_) return Ok();
    document.json["root"] = Json();
    document.json["next_root"] = Json();
    document.json["wrapped_keys"] = Json(Json::Object());
    RETURN_IF_ERROR(ReplaceDocument(paced_, key, std::move(document.json),
                                    document.info.version));
    was_emptied = true;
    return Ok();
  });
  RETURN_IF_ERROR(done);
  return was_emptied;
}

Status RootDeletion::EmptyRecords(const std::vector<std::string>& ids) {
  std::atomic<uint64_t> emptied{0};
  const Status done = InBatches(ids.size(), [&](size_t i) -> Status {
    ASSIGN_OR_RETURN(const bool was_emptied, EmptyRecord(RecordKey(ids[i])));
    emptied += was_emptied ? 1 : 0;
    return Ok();
  });
  counts_.records += emptied;
  return done;
}

Status RootDeletion::InBatches(size_t count,
                               const std::function<Status(size_t)>& act) {
  for (size_t begin = 0; begin < count; begin += options_.batch_size) {
    const size_t end = std::min(count, begin + options_.batch_size);
    RETURN_IF_ERROR(MayGoOn());
    if (options_.thread_count <= 1) {
      for (size_t i = begin; i < end; ++i) RETURN_IF_ERROR(act(i));
      continue;
    }
    JobPool pool(options_.thread_count, options_.batch_size);
    for (size_t i = begin; i < end; ++i)
      if (!pool.Submit([&act, i] { return act(i); }).ok()) break;
    RETURN_IF_ERROR(pool.Finish());
  }
  return Ok();
}

Status RootDeletion::DeleteAll(const std::vector<Doomed>& objects) {
  RETURN_IF_ERROR(InBatches(
      objects.size(), [&](size_t i) { return paced_.Delete(objects[i].key); }));
  counts_.objects += objects.size();
  for (const Doomed& object : objects) counts_.bytes += object.size_bytes;
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
    RETURN_IF_ERROR(DeleteAll(batch));
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
