// SPDX-License-Identifier: Apache-2.0
#include "gc/report.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "chunk/name.h"
#include "gc/each_key.h"
#include "origin/root_state.h"

namespace morsel {
namespace {

Result<std::vector<ChunkName>> MeasureChunks(ObjectStore& store,
                                             RootUsage& usage) {
  std::vector<ChunkName> names;
  RETURN_IF_ERROR(ForEachKey(store, "roots/" + usage.root + "/chunks/",
                             [&](const ObjectPage::Row& row) -> Status {
                               const auto name = ChunkName::Parse(
                                   row.key.substr(row.key.rfind('/') + 1));
                               if (name.ok()) names.push_back(*name);
                               ++usage.chunks;
                               usage.stored_bytes += row.info.size_bytes;
                               return Ok();
                             }));
  std::sort(names.begin(), names.end());
  return names;
}

Status CountManifests(ObjectStore& store, RootUsage& usage) {
  return ForEachKey(store, "roots/" + usage.root + "/manifests/",
                    [&](const ObjectPage::Row&) {
                      ++usage.manifests;
                      return Ok();
                    });
}

void CountShared(const std::vector<std::vector<ChunkName>>& names,
                 std::vector<RootUsage>& rows) {
  for (size_t i = 0; i < rows.size(); ++i)
    for (const ChunkName& name : names[i])
      for (size_t j = 0; j < rows.size(); ++j)
        if (i != j &&
            std::binary_search(names[j].begin(), names[j].end(), name)) {
          ++rows[i].shared_chunks;
          break;
        }
}

std::string Count(uint64_t count, const char* what) {
  return count == 0 ? "" : ", " + std::to_string(count) + " " + what;
}

Json BirthsJson(const std::vector<Birth>& births) {
  Json rows{Json::Array()};
  for (const Birth& birth : births) {
    Json row;
    row["root"] = birth.root;
    row["manifests"] = birth.manifests;
    row["chunks"] = birth.chunks;
    row["stored_bytes"] = birth.stored_bytes;
    rows.Append(std::move(row));
  }
  return rows;
}

std::string BirthsText(const std::vector<Birth>& births) {
  std::string text;
  for (const Birth& birth : births)
    text += "\n  came from " + birth.root + ": " +
            std::to_string(birth.manifests) + " manifests, " +
            std::to_string(birth.chunks) + " chunks, " +
            HumanSize(birth.stored_bytes) + " that new images do not share";
  return text;
}

}  // namespace

Json RootUsage::ToJson() const {
  Json json;
  json["root"] = root;
  json["state"] = state;
  json["placement"] = placement;
  json["tenant"] = tenant;
  json["since"] = FormatUtc(since_unix_seconds);
  json["manifests"] = manifests;
  json["chunks"] = chunks;
  json["stored_bytes"] = stored_bytes;
  json["shared_chunks"] = shared_chunks;
  json["births"] = BirthsJson(births);
  return json;
}

std::string RootUsage::ToText() const {
  return root + "  " + state + " since " + FormatUtc(since_unix_seconds) +
         "  " + std::to_string(manifests) + " manifests, " +
         std::to_string(chunks) + " chunks, " + HumanSize(stored_bytes) +
         Count(shared_chunks, "chunks also in another root") +
         (placement.empty() ? "" : "  placement " + placement) +
         (tenant.empty() ? "" : "  tenant " + tenant) + BirthsText(births);
}

Result<std::vector<RootUsage>> MeasureRoots(ObjectStore& store, bool births,
                                            size_t thread_count) {
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store));
  std::vector<RootUsage> rows;
  std::vector<std::vector<ChunkName>> names;
  for (const Root& root : roots) {
    RootUsage usage;
    usage.root = root.id;
    usage.state = root.state.state;
    usage.placement = root.state.placement;
    usage.tenant = root.state.tenant;
    usage.since_unix_seconds = root.since_unix_seconds;
    RETURN_IF_ERROR(CountManifests(store, usage));
    if (births && usage.manifests > 0) {
      ASSIGN_OR_RETURN(usage.births,
                       MeasureBirths(store, root.id, thread_count));
    }
    ASSIGN_OR_RETURN(std::vector<ChunkName> own, MeasureChunks(store, usage));
    rows.push_back(std::move(usage));
    names.push_back(std::move(own));
  }
  CountShared(names, rows);
  return rows;
}

Json ToJson(const RootReport& report) {
  Json json;
  json["root"] = report.root;
  json["state_before"] = report.state_before;
  json["state_after"] = report.state_after;
  json["referenced_manifests"] = report.referenced_manifests;
  json["moved_manifests"] = report.moved_manifests;
  json["copied_chunks"] = report.copied_chunks;
  json["copied_bytes"] = report.copied_bytes;
  json["dropped_announcements"] = report.dropped_announcements;
  json["emptied_records"] = report.emptied_records;
  json["deleted_objects"] = report.deleted_objects;
  json["deleted_bytes"] = report.deleted_bytes;
  json["next_step"] = report.next_step;
  json["error"] = report.error;
  return json;
}

std::string ToText(const RootReport& report) {
  std::string text = report.root + "  " + report.state_before;
  if (report.state_after != report.state_before)
    text += " -> " + report.state_after;
  text += Count(report.referenced_manifests, "referenced") +
          Count(report.moved_manifests, "moved") +
          Count(report.copied_chunks, "chunks copied");
  if (report.copied_bytes > 0)
    text += " (" + HumanSize(report.copied_bytes) + ")";
  text += Count(report.dropped_announcements, "announcements dropped") +
          Count(report.emptied_records, "records emptied") +
          Count(report.deleted_objects, "objects deleted");
  if (report.deleted_bytes > 0)
    text += " (" + HumanSize(report.deleted_bytes) + ")";
  if (!report.next_step.empty()) text += "; " + report.next_step;
  if (!report.error.empty()) text += "; FAILED: " + report.error;
  return text;
}

}  // namespace morsel
