// SPDX-License-Identifier: Apache-2.0
#include "origin/rotate_keys.h"

#include <utility>

#include "base/clock.h"
#include "origin/document.h"
#include "origin/next_step.h"
#include "origin/origin.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

constexpr const char* kRecordFolder = "manifests/";
constexpr const char* kSuffix = ".json";
constexpr size_t kListPage = 1000;

// The counts of one record, kept apart: a lost compare-and-swap begins anew.
struct RecordCounts {
  uint64_t wrappings = 0;
  uint64_t rewrapped = 0;
  uint64_t foreign = 0;
  std::vector<std::string> damages;
};

// One try. kExists if the record changed meanwhile.
Status RotateRecord(ObjectStore& store, const std::string& id, KeyService& keys,
                    bool all, RecordCounts& counts) {
  counts = {};
  ASSIGN_OR_RETURN(Versioned<ManifestRecord> record, LoadRecord(store, id));
  for (auto& [context, wrapped] : record.value.wrapped_keys) {
    ++counts.wrappings;
    if (!all && wrapped.key_id == keys.KeyId()) continue;
    Result<SecretKey> key = keys.Unwrap(wrapped, context);
    if (!key.ok() && key.error().code == Code::kDenied) {
      ++counts.foreign;
      continue;
    }
    if (!key.ok() && key.error().code == Code::kCorrupt) {
      counts.damages.push_back(
          RecordKey(id) + ": " +
          WithNextStep(key.error(), RecordKey(id)).message);
      continue;
    }
    if (!key.ok()) return std::move(key).error();
    ASSIGN_OR_RETURN(wrapped, keys.Wrap(*key, context));
    ++counts.rewrapped;
  }
  if (counts.rewrapped == 0) return Ok();
  return ReplaceDocument(store, RecordKey(id), EncodeRecord(record.value),
                         record.version);
}

Status RotateOne(ObjectStore& store, const std::string& id, KeyService& keys,
                 bool all, RotationReport& report) {
  RecordCounts counts;
  const Status done = RetryWhileChanged(
      "the record of the manifest " + id,
      [&] { return RotateRecord(store, id, keys, all, counts); });
  // One that cannot be read must not keep the others from it.
  if (!done.ok() && done.error().code == Code::kCorrupt) {
    report.damages.push_back(done.error().message);
    return Ok();
  }
  if (!done.ok() && done.error().code == Code::kNotFound) return Ok();
  RETURN_IF_ERROR(done);
  ++report.record_count;
  report.wrapping_count += counts.wrappings;
  report.rewrapped_count += counts.rewrapped;
  report.foreign_count += counts.foreign;
  report.damages.insert(report.damages.end(), counts.damages.begin(),
                        counts.damages.end());
  return Ok();
}

// The salts of all roots that the older keys open, for the present one.
Status RotateSalts(ObjectStore& store, KeyService& keys,
                   RotationReport& report) {
  Origin origin(store, SystemClock());
  ASSIGN_OR_RETURN(const std::vector<RootRow> roots, origin.ListRoots());
  for (const RootRow& root : roots) {
    if (root.state == kRootDeleted) continue;
    bool has_one = false;
    for (const std::string& id : root.key_ids) has_one |= id == keys.KeyId();
    if (has_one) continue;
    const Status admitted = origin.AdmitKey(root.id, keys, keys);
    if (admitted.ok())
      ++report.salt_count;
    else if (admitted.error().code == Code::kCorrupt)
      report.damages.push_back(admitted.error().message);
    else if (admitted.error().code != Code::kDenied)
      return admitted;
  }
  return Ok();
}

}  // namespace

Result<RotationReport> RotateKeys(ObjectStore& store, KeyService& keys,
                                  bool all) {
  RotationReport report;
  // First, since a converter with the new key needs them.
  RETURN_IF_ERROR(RotateSalts(store, keys, report));
  const std::string folder = kRecordFolder;
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store.List(folder, after, kListPage));
    for (const ObjectPage::Row& row : page.rows) {
      std::string id = row.key.substr(folder.size());
      if (!id.ends_with(kSuffix)) continue;
      id.resize(id.size() - std::string_view(kSuffix).size());
      if (!IsManifestId(id)) continue;
      RETURN_IF_ERROR(RotateOne(store, id, keys, all, report));
    }
    if (!page.more) return report;
    after = page.rows.back().key;
  }
}

}  // namespace morsel
