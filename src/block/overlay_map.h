// SPDX-License-Identifier: Apache-2.0
// What each 4 KiB page of an overlay is: the image's, written, or zero. Two
// bits a page in a preallocated file that is mapped, so that a change needs no
// system call and kill -9 loses none (docs/formats.md, "Overlay").
//
//     0   8  magic "MORSELOV"        16   8  size of the device, bytes
//     8   4  version, 1              24  64  id of the manifest below it
//    12   4  flags; bit 0: durable   88  40  boot id, zero-padded
//   128 512  holes to be punched: a group and one, or 0, for each of 64 users
//  4096   the working map, whole pages: two bits a page, lowest page first
//     …   the durable map, as large (only if durable)
//
// Reads and writes use the working map. A power cut may leave it ahead of the
// data file, where a page would decrypt to noise; so what a flush has made
// safe is also written to the durable map, after the data, and a map that was
// last used under another boot begins again from there.
//
// Thread safety: Get and RunLength are thread-safe; Set wants a lock of the
// caller's for the group, NoteHole and ForgetHole one for the user; Snapshot
// and Publish want another.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace morsel {

enum class PageState : uint8_t {
  kImage = 0,  // never written: the image below has it
  kData = 1,   // in the overlay's data file
  kZero = 2,   // discarded: reads as zeros
};

struct OverlayMapOptions {
  uint64_t virtual_size = 0;  // bytes, a multiple of 4096
  std::string manifest_id;    // 64 hexadecimal digits
  bool durable = false;
  // Of the running kernel (/proc/sys/kernel/random/boot_id), if durable.
  std::string boot_id;
};

class OverlayMap {
 public:
  // Pages that share a 64-bit word of the map.
  static constexpr uint64_t kPagesPerGroup = 32;

  // An empty file becomes a map of kImage. kInvalid: the map is of another
  // manifest, size or version; kCorrupt: it is damaged; kExhausted: no room.
  static Result<std::unique_ptr<OverlayMap>> Open(
      Fd file, const OverlayMapOptions& options);
  ~OverlayMap();
  OverlayMap(const OverlayMap&) = delete;
  OverlayMap& operator=(const OverlayMap&) = delete;

  PageState Get(uint64_t page) const;
  // How many pages from `page` on, at most `limit`, are in `state`.
  uint64_t RunLength(uint64_t page, PageState state, uint64_t limit) const;
  // Requires: the pages lie in one group.
  void Set(uint64_t first, uint64_t count, PageState state);
  uint64_t CountData() const;

  // A discard changes the map and then punches a hole in the data file. Who is
  // killed in between has noted before in which group, so the room does not
  // stay taken: whoever opens the map punches what is zero there once more. A
  // note means no more than that, so one too many does no harm.
  static constexpr size_t kHoleNotes = 64;
  void NoteHole(size_t user, uint64_t group);
  void ForgetHole(size_t user);
  // The group that is noted by `user`, if it exists.
  std::optional<uint64_t> NotedHole(size_t user) const;

  // The parts of the working map that changed since the last call: {offset in
  // the map, bytes}. Empty unless durable.
  using Changes = std::vector<std::pair<uint64_t, Bytes>>;
  Changes Snapshot();
  // Writes `changes` to the durable map and syncs it. The data that they speak
  // of is on disk already.
  Status Publish(const Changes& changes);

 private:
  using Word = std::atomic<uint64_t>;

  OverlayMap(Fd file, const OverlayMapOptions& options);
  Status Create();
  Status CheckHeader(ByteSpan header) const;
  Status AdoptBoot(ByteSpan header);
  Status WriteHeader();
  Status MapWorking();
  Status CheckWords() const;

  const Fd file_;
  const OverlayMapOptions options_;
  const uint64_t map_bytes_;  // of one map, whole pages
  // Header and working map.
  void* memory_ = nullptr;
  Word* holes_ = nullptr;
  Word* words_ = nullptr;
  // One bit for each 4 KiB of the map.
  std::vector<Word> changed_;
};

}  // namespace morsel
