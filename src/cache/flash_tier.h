// SPDX-License-Identifier: Apache-2.0
// FlashTier: values in a log on a CacheDevice, under a hard limit of bytes.
//
// The device is a ring of segments (64 MiB). Records are appended to the open
// segment in batches of whole blocks, so writes are sequential and no block is
// written twice; when the segment is full, the next one of the ring, which is
// the oldest, becomes the open one, and what was in it is gone.
// docs/formats.md, "Flash tier", has the layout; the index lies in memory and
// is rebuilt from the headers of the records when the tier is opened.
//
// Before a segment goes, those of its records that are still hot are appended
// anew: hot is what an LRU-K policy over `hot_part` of the room keeps. In all,
// at most max_write_amplification - 1 bytes are moved for each byte that came
// in.
//
// Since the ring is written in order, an older version of a key, or one that
// was erased, is always overwritten no later than the record that replaced
// it: so no restart brings it back, and tombstones need no copying. What Put or
// Erase replaced is gone from the index at once, and cannot return after kill
// -9 once Flush has returned. A power cut may undo the last seconds, in any
// order of blocks: every record carries checksums, and what is torn is dropped.
//
// Writes are done by one thread of its own. Until then a value is read from the
// queue, which is bounded. After a write error the tier writes no more: reads
// go on, Put and Flush fail.
//
// Thread safety: thread-safe. Get blocks for one read of the device, Flush for
// what is queued, Put only if told to; the rest never.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "cache/device.h"
#include "cache/policy.h"
#include "cache/value.h"

namespace morsel {

struct FlashTierOptions {
  // Adapted to the device, which has at least 4 segments, so that at most one
  // block a segment is left over.
  uint64_t segment_bytes = 64 * kMiB;
  // Of what is hot; its kind is LRU-K unless told otherwise.
  PolicyOptions policy;
  double hot_part = 0.5;
  double max_write_amplification = 2.0;
  // A batch is written when so much waits, or the oldest waits so long.
  uint64_t batch_bytes = 1 * kMiB;
  std::chrono::milliseconds linger{50};
  // The most that waits for the writer.
  uint64_t queue_bytes = 16 * kMiB;
};

struct FlashTierStats {
  uint64_t device_bytes = 0;  // the limit; never exceeded
  uint64_t segment_bytes = 0;
  uint64_t segment_count = 0;
  uint64_t entry_count = 0;
  uint64_t live_bytes = 0;   // records that the index knows
  uint64_t index_bytes = 0;  // memory of index and policy
  uint64_t queued_bytes = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t expired = 0;
  uint64_t corrupt = 0;  // records dropped by their checksum
  uint64_t read_errors = 0;
  uint64_t inserts = 0;  // taken by Put
  uint64_t dropped = 0;  // refused by a full queue
  uint64_t evictions = 0;
  uint64_t admitted_bytes = 0;  // records written for Put and Erase
  uint64_t moved_bytes = 0;     // records written again as they were hot
  uint64_t written_bytes = 0;   // all that went to the device
  uint64_t highest_cas = 0;     // of what was there when it was opened
  bool failed = false;          // a write failed; it writes no more
  // written_bytes / admitted_bytes; 1 if nothing was written.
  double write_amplification() const;
};

class FlashTier {
 public:
  enum class WhenFull { kDrop, kWait };

  // Reads the headers of what is there; a device of another layout begins anew.
  // kInvalid: the device is too small (4 segments of 32 KiB) or an option is
  // out of range. kIo: it cannot be read or written.
  static Result<std::unique_ptr<FlashTier>> Open(
      std::unique_ptr<CacheDevice> device, const FlashTierOptions& options,
      Clock& clock);
  // Writes what is queued.
  virtual ~FlashTier() = default;

  // What Get found, and where.
  struct Found {
    CacheValue value;
    uint64_t sequence = 0;  // of this version of the key
    uint32_t uses = 0;      // this one included, since it is on flash (capped)
  };
  // kNotFound: ask the next tier. kCorrupt: it was damaged and is dropped; ask
  // the next tier. kIo: the device failed to read it.
  virtual Result<Found> Get(std::string_view key) = 0;

  // Whether the index knows the key (it has not expired); reads nothing.
  virtual bool Contains(std::string_view key) const = 0;
  // What `Contains` found: the numbers of a value, without its bytes.
  struct Header {
    uint64_t sequence = 0;
    uint64_t cas = 0;
    int64_t expires_unix = 0;
  };
  virtual Result<Header> Find(std::string_view key) const = 0;

  // Queues the value as the newest version of `key`. kInvalid: key or value too
  // long. kExhausted: the queue is full and `when_full` is kDrop; the older
  // version is gone all the same. kUnavailable: it writes no more.
  virtual Status Put(std::string_view key, const CacheValue& value,
                     WhenFull when_full) = 0;

  // The key is gone from the index when this returns; it stays gone after kill
  // -9 once Flush has returned. True if it was there.
  virtual bool Erase(std::string_view key) = 0;
  virtual void EraseAll() = 0;

  // Waits until all that was queued before is written. kUnavailable: it writes
  // no more, and what was replaced or erased may be back after a restart.
  virtual Status Flush() = 0;

  virtual FlashTierStats Stats() const = 0;
};

}  // namespace morsel
