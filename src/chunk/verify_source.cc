// SPDX-License-Identifier: Apache-2.0
#include "chunk/verify_source.h"

#include "base/log.h"

namespace morsel {

Result<Bytes> VerifySource::GetOwned(const ChunkRef& ref, Want want) {
  want.offset = 0;  // all of it is hashed
  want.length = ref.stored_length;
  for (const bool owned : {want.owned, true}) {
    want.owned = owned;
    ASSIGN_OR_RETURN(ChunkView view, next_.Get(ref, want));
    Bytes bytes = view.Take();
    if (view.still_valid()) return bytes;
  }
  return MakeError(Code::kUnavailable,
                   "chunk " + ref.name.Short() + ": the " + tier_ +
                       " took its bytes back twice; ask again");
}

Result<ChunkView> VerifySource::Get(const ChunkRef& ref, const Want& want) {
  ASSIGN_OR_RETURN(Bytes bytes, GetOwned(ref, want));
  if (bytes.size() == ref.stored_length && ref.name.Matches(bytes)) {
    return ChunkView::Owned(std::move(bytes));
  }
  ++corrupt_chunks_;
  LogWarn("chunk damaged", {{"chunk", ref.name.ToString()},
                            {"tier", tier_},
                            {"root", ref.root},
                            {"bytes", bytes.size()},
                            {"expected_bytes", ref.stored_length}});
  return MakeError(
      Code::kCorrupt,
      "chunk " + ref.name.Short() + " of root " + ref.root + " from the " +
          tier_ +
          (bytes.size() != ref.stored_length
               ? " is " + std::to_string(bytes.size()) + " bytes, not " +
                     std::to_string(ref.stored_length)
               : std::string(" has another SHA-256 than its name")));
}

}  // namespace morsel
