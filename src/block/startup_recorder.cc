// SPDX-License-Identifier: Apache-2.0
#include "block/startup_recorder.h"

namespace morsel {
namespace {

constexpr size_t kBits = 64;

}  // namespace

StartupRecorder::StartupRecorder(DeviceStatsPage& page, size_t chunk_limit)
    : page_(page), noted_((chunk_limit + kBits - 1) / kBits) {
  size_t count = 0;
  for (; count < kMaxStartupChunks; ++count) {
    const uint32_t word =
        page_.startup_chunks[count].load(std::memory_order_relaxed);
    if (word == 0) break;
    static_cast<void>(Mark(word - 1));
  }
  was_empty_ = count == 0;
  count_.store(count, std::memory_order_relaxed);
}

bool StartupRecorder::Mark(uint32_t index) {
  if (index / kBits >= noted_.size()) return false;
  std::atomic<uint64_t>& word = noted_[index / kBits];
  const uint64_t bit = uint64_t{1} << (index % kBits);
  if ((word.load(std::memory_order_relaxed) & bit) != 0) return false;
  return (word.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
}

void StartupRecorder::Note(uint32_t index) {
  if (!Mark(index)) return;
  const size_t at = count_.fetch_add(1, std::memory_order_relaxed);
  if (at < kMaxStartupChunks)
    page_.startup_chunks[at].store(index + 1, std::memory_order_relaxed);
}

}  // namespace morsel
