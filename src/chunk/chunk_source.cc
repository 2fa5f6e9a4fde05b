// SPDX-License-Identifier: Apache-2.0
#include "chunk/chunk_source.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "crypto/hash.h"

namespace morsel {

ChunkView ChunkView::Owned(Bytes bytes) {
  CHECK(bytes.size() <= kMaxPieces * kPieceSize);
  ChunkView view;
  view.owned_ = std::move(bytes);
  view.length_ = static_cast<uint32_t>(view.owned_.size());
  view.contiguous_ = true;
  return view;
}

ChunkView::ChunkView(const std::array<const std::byte*, kMaxPieces>& pieces,
                     uint32_t length, const std::atomic<uint64_t>* generation,
                     uint64_t expected, const std::atomic<uint32_t>* page_crcs)
    : pieces_(pieces),
      length_(length),
      generation_(generation),
      expected_(expected),
      page_crcs_(page_crcs) {
  CHECK(length <= kMaxPieces * kPieceSize);
}

ByteSpan ChunkView::Run(uint32_t offset, uint32_t length) const {
  CHECK(offset <= length_ && length <= length_ - offset);
  if (length == 0) return {};
  if (contiguous_) return ByteSpan(owned_).subspan(offset, length);
  const uint32_t within = offset % kPieceSize;
  return {pieces_[offset / kPieceSize] + within,
          std::min(length, kPieceSize - within)};
}

bool ChunkView::IsGood(uint32_t offset, uint32_t length) const {
  if (page_crcs_ == nullptr) return true;
  const uint32_t end = offset + length;
  for (uint32_t page = offset / kPageSize; page * kPageSize < end; ++page) {
    const ByteSpan bytes =
        Run(page * kPageSize, std::min(kPageSize, length_ - page * kPageSize));
    if (Crc32c(bytes) != page_crcs_[page].load(std::memory_order_relaxed))
      return false;
  }
  return true;
}

void ChunkView::Prefetch(uint32_t offset) const {
  constexpr uint32_t kLine = 64;
  if (offset >= length_) return;
  const ByteSpan page = Run(offset, std::min(kPageSize, length_ - offset));
  for (size_t i = 0; i < page.size(); i += kLine) __builtin_prefetch(&page[i]);
}

Bytes ChunkView::Copy() const {
  Bytes copy;
  copy.reserve(length_);
  while (copy.size() < length_) {
    const auto offset = static_cast<uint32_t>(copy.size());
    const ByteSpan run = Run(offset, length_ - offset);
    copy.insert(copy.end(), run.begin(), run.end());
  }
  return copy;
}

// A view that borrows what never changes owns nothing.
Bytes ChunkView::TakeOwned() {
  if (owned_.size() != length_) return Copy();
  length_ = 0;
  return std::exchange(owned_, {});
}

bool ChunkView::still_valid() const {
  if (generation_ == nullptr) return true;
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer knows no fences.
  return generation_->load(std::memory_order_seq_cst) == expected_;
#else
  // The reads of the pieces come before the read of the generation.
  std::atomic_thread_fence(std::memory_order_acquire);
  return generation_->load(std::memory_order_relaxed) == expected_;
#endif
}

}  // namespace morsel
