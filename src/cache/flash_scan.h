// SPDX-License-Identifier: Apache-2.0
// Reads a segment of the flash tier from record to record, as far as it is
// whole: what rebuilds the index. It reads heads and skips values, unless it is
// told to check them.
//
// Thread safety: free function.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "cache/flash_format.h"

namespace morsel {

struct ScannedRecord {
  RecordHeader header;
  std::string_view key;     // valid during the call
  uint32_t offset = 0;      // in the segment
  bool is_damaged = false;  // the value's checksum does not fit
};

struct ScanEnd {
  // In the segment: heads behind the last whole record, whose values do not
  // fit.
  std::vector<uint32_t> torn;
  uint64_t gaps = 0;  // places where no head was, but further on one
};

// Calls `on_record` for every value, tombstone and clearing of segment `id`, in
// order, up to the last one. What is no head of a record of it is passed over,
// in steps of 64 bytes, if there is one further on. With `check_values` each
// value is checked too: one that does not fit is reported as damaged if a
// record follows it, and else as torn. kIo: the device failed.
Result<ScanEnd> ScanSegment(
    CacheDevice& device, const FlashGeometry& geometry, uint64_t id,
    bool check_values,
    const std::function<void(const ScannedRecord&)>& on_record);

}  // namespace morsel
