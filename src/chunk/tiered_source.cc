// SPDX-License-Identifier: Apache-2.0
#include "chunk/tiered_source.h"

#include "base/log.h"

namespace morsel {

Result<ChunkView> TieredSource::Get(const ChunkRef& ref, const Want& want) {
  Result<ChunkView> near = first_.Get(ref, want);
  if (near.ok()) {
    ++first_hits_;
    return near;
  }
  if (near.error().code == Code::kNotFound) {
    ++misses_;
  } else {
    ++fallbacks_;
    LogWarn("tier passed over",
            {{"chunk", ref.name.ToString()}, {"cause", near.error().message}});
  }
  Result<ChunkView> far = next_.Get(ref, want);
  if (!far.ok()) {
    return far.error().code == Code::kNotFound ? std::move(near)
                                               : std::move(far);
  }
  if (fill_ == nullptr) return far;
  // From a copy of our own: a borrowed view may change while it is kept.
  Bytes bytes = far->Take();
  if (!far->still_valid()) return far;
  fill_->Offer(ref, bytes);
  return ChunkView::Owned(std::move(bytes));
}

TieredStats TieredSource::Stats() const {
  return {
      .first_hits = first_hits_, .misses = misses_, .fallbacks = fallbacks_};
}

}  // namespace morsel
