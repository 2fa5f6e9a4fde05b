// SPDX-License-Identifier: Apache-2.0
#include "chunk/memory_source.h"

namespace morsel {

Result<ChunkView> MemorySource::Get(const ChunkRef& ref, const Want& want) {
  if (SystemClock().Now() >= want.deadline) {
    return MakeError(Code::kTimeout,
                     "chunk " + ref.name.Short() + ": the deadline has passed");
  }
  const MutexLock lock(mutex_);
  const auto found = chunks_.find(ref.name);
  if (found == chunks_.end()) {
    return MakeError(Code::kNotFound,
                     "chunk " + ref.name.Short() + " is not in memory");
  }
  return ChunkView::Owned(found->second);
}

void MemorySource::Offer(const ChunkRef& ref, ByteSpan ciphertext) {
  const MutexLock lock(mutex_);
  chunks_.insert_or_assign(ref.name, CopyBytes(ciphertext));
}

size_t MemorySource::chunk_count() const {
  const MutexLock lock(mutex_);
  return chunks_.size();
}

}  // namespace morsel
