// SPDX-License-Identifier: Apache-2.0
// Reads a segment of the flash tier from record to record, as far as it is
// whole: what rebuilds the index. It reads heads and skips values, unless it is
// told to check them.
//
// Thread safety: free function.
#pragma once

#include <functional>

#include "cache/flash_format.h"

namespace morsel {

struct ScannedRecord {
  RecordHeader header;
  std::string_view key;  // valid during the call
  uint32_t offset = 0;   // in the segment
};

struct ScanEnd {
  uint64_t end_offset = 0;  // in the segment, behind the last whole record
  bool is_torn = false;     // there is a head there, but not its value
};

// Calls `on_record` for every value, tombstone and clearing of segment `id`, in
// order, up to the first thing that is no record of it or crosses its end; with
// `check_values` also up to the first value whose checksum does not fit. kIo:
// the device failed.
Result<ScanEnd> ScanSegment(
    CacheDevice& device, const FlashGeometry& geometry, uint64_t id,
    bool check_values,
    const std::function<void(const ScannedRecord&)>& on_record);

}  // namespace morsel
