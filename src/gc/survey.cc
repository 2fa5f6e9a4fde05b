// SPDX-License-Identifier: Apache-2.0
#include "gc/survey.h"

#include <utility>

#include "base/mutex.h"
#include "gc/each_key.h"
#include "gc/references.h"
#include "origin/document.h"
#include "origin/record_store.h"

namespace morsel {
namespace {

constexpr std::string_view kRecordsFolder = "manifests/";
constexpr size_t kIdDigits = 64;

class Surveyor {
 public:
  Surveyor(ObjectStore& store, const std::vector<Root>& roots,
           const SurveyOptions& options)
      : store_(store), options_(options) {
    for (const Root& root : roots)
      if (!root.Is(kRootActive)) states_[root.id] = root.state.state;
  }

  Result<Survey> Run();

 private:
  bool IsIn(const std::string& root, std::string_view state) const {
    const auto found = states_.find(root);
    return found != states_.end() && found->second == state;
  }
  Status VisitRecord(const std::string& key) EXCLUDES(mutex_);
  // Takes back a move into a retired root. kExists: it has changed.
  Status ClearMove(const std::string& key, Versioned<ManifestRecord>& record);
  void Note(const ManifestRecord& record) EXCLUDES(mutex_);

  ObjectStore& store_;
  const SurveyOptions options_;
  std::map<std::string, std::string> states_;  // by root
  ReferenceMap references_;
  Mutex mutex_;
  Survey survey_ GUARDED_BY(mutex_);
};

Status Surveyor::ClearMove(const std::string& key,
                           Versioned<ManifestRecord>& record) {
  if (options_.dry_run || !IsIn(record.value.next_root, kRootRetired))
    return Ok();
  record.value.next_root.clear();
  return ReplaceDocument(store_, key, EncodeRecord(record.value),
                         record.version);
}

void Surveyor::Note(const ManifestRecord& record) {
  if (!states_.contains(record.root)) return;
  const MutexLock lock(mutex_);
  Residents& residents = survey_[record.root];
  if (!IsIn(record.root, kRootRetired)) residents.ids.push_back(record.id);
  const auto reference = references_.find(record.id);
  if (reference == references_.end()) return;
  (reference->second.firm ? residents.firm : residents.announced)
      .push_back({record.id, reference->second.holder, record.chunk_count});
}

Status Surveyor::VisitRecord(const std::string& key) {
  const std::string id = key.substr(kRecordsFolder.size(), kIdDigits);
  if (!IsManifestId(id) || key != RecordKey(id)) return Ok();
  return RetryWhileChanged(key, [&]() -> Status {
    ASSIGN_OR_RETURN(Versioned<ManifestRecord> record, LoadRecord(store_, id));
    RETURN_IF_ERROR(ClearMove(key, record));
    Note(record.value);
    return Ok();
  });
}

Result<Survey> Surveyor::Run() {
  ASSIGN_OR_RETURN(references_,
                   ListReferences(store_, options_.now, options_.lease_period,
                                  options_.thread_count));
  RETURN_IF_ERROR(ForEachKeyAtOnce(
      store_, std::string(kRecordsFolder), options_.thread_count,
      [&](const ObjectPage::Row& row) { return VisitRecord(row.key); }));
  const MutexLock lock(mutex_);
  return std::move(survey_);
}

}  // namespace

Result<Survey> SurveyRoots(ObjectStore& store, const std::vector<Root>& roots,
                           const SurveyOptions& options) {
  return Surveyor(store, roots, options).Run();
}

}  // namespace morsel
