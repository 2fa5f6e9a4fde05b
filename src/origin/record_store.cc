// SPDX-License-Identifier: Apache-2.0
#include "origin/record_store.h"

#include "origin/document.h"
#include "origin/next_step.h"

namespace morsel {
namespace {

template <typename T>
Result<Versioned<T>> Load(ObjectStore& store, const std::string& key,
                          Result<T> (*decode)(const Json&)) {
  const Result<Document> document = ReadDocument(store, key);
  if (!document.ok()) return WithNextStep(document.error(), key);
  Result<T> value = decode(document->json);
  if (!value.ok())
    return WithNextStep(
        std::move(value).error().Wrap("the origin's " + key + " is damaged"),
        key);
  return Versioned<T>{std::move(value).value(), document->info.version};
}

}  // namespace

Error NoImage(const ImageName& name) {
  return MakeError(Code::kNotFound,
                   "there is no image " + name.ToString() +
                       " in the origin: see `morsel images`, or convert it");
}

Result<RootState> LoadRootState(ObjectStore& store, const std::string& root) {
  ASSIGN_OR_RETURN(Versioned<RootState> state,
                   Load(store, RootStateKey(root), DecodeRootState));
  return std::move(state.value);
}

Result<Versioned<ManifestRecord>> LoadRecord(ObjectStore& store,
                                             const std::string& id) {
  ASSIGN_OR_RETURN(Versioned<ManifestRecord> record,
                   Load(store, RecordKey(id), DecodeRecord));
  if (record.value.id != id)
    return WithNextStep(
        MakeError(Code::kCorrupt, "the origin's " + RecordKey(id) +
                                      " is the record of another manifest"),
        RecordKey(id));
  return record;
}

Result<Versioned<PointerState>> LoadPointer(ObjectStore& store,
                                            const ImageName& name) {
  return Load(store, PointerKey(name), DecodePointer);
}

}  // namespace morsel
