// SPDX-License-Identifier: Apache-2.0
#include "chunk/stats_source.h"

namespace morsel {

Result<ChunkView> StatsSource::Get(const ChunkRef& ref, const Want& want) {
  ++gets_;
  Result<ChunkView> view = next_.Get(ref, want);
  if (view.ok()) {
    bytes_ += view->length();
  } else {
    CountError(view.error().code);
  }
  return view;
}

void StatsSource::CountError(Code code) {
  if (code == Code::kNotFound) {
    ++not_found_;
  } else if (code == Code::kCorrupt) {
    ++corrupt_;
  } else {
    ++failed_;
  }
}

ChunkSourceStats StatsSource::Stats() const {
  return {.gets = gets_,
          .not_found = not_found_,
          .corrupt = corrupt_,
          .failed = failed_,
          .bytes = bytes_};
}

}  // namespace morsel
