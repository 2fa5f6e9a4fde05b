// SPDX-License-Identifier: Apache-2.0
// StartupRecorder: which chunks a device reads first, in order. They are its
// startup profile: `morsel record` stores it with the image, and the next start
// has them loaded ahead (docs/ARCHITECTURE.md, "A startup profile").
//
// It is always at work: a chunk that was noted before costs one load.
//
// Thread safety: thread-safe. Two who note different chunks at once may stand
// in either order.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "block/device_stats.h"

namespace morsel {

class StartupRecorder {
 public:
  // Goes on after what `page` holds, which a predecessor may have noted. `page`
  // must outlive it. Indexes are below `chunk_limit`.
  StartupRecorder(DeviceStatsPage& page, size_t chunk_limit);

  // The chunk with that index is read. Nothing once kMaxStartupChunks are
  // noted, or for an index that is too large.
  void Note(uint32_t index);
  // Nothing had been read when this was made.
  bool was_empty() const { return was_empty_; }

 private:
  // False if it was there already.
  bool Mark(uint32_t index);

  DeviceStatsPage& page_;
  std::vector<std::atomic<uint64_t>> noted_;  // a bit for each chunk
  std::atomic<size_t> count_{0};
  bool was_empty_ = true;
};

}  // namespace morsel
