// SPDX-License-Identifier: Apache-2.0
// ChunkSource: the ciphertext of a chunk, from wherever it is nearest. The
// second of the three interfaces that carry the system.
//
// What comes back is borrowed, not copied: a ChunkView points into a cache that
// may give the memory to another chunk at any moment. So who uses it works
// into a private buffer first and then asks still_valid(); only if that is
// true was the work done on the right bytes. Who hashes, copies or fills back
// does it from his own copy, and asks afterwards.
//
// Thread safety: sources are thread-safe; a view is owned by one thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "chunk/name.h"

namespace morsel {

struct ChunkRef {
  ChunkName name;
  std::string root;            // where the origin keeps it now
  uint32_t stored_length = 0;  // bytes, a multiple of kPageSize, not 0
};

enum class Urgency { kDemand, kPrefetch };

struct Want {
  Deadline deadline;
  Urgency urgency = Urgency::kDemand;
  // The part that will be used: a source checks at least these bytes (whole
  // pages around them) before it returns. Within stored_length.
  uint32_t offset = 0;
  uint32_t length = 0;
  // The view must own its bytes: asked for when a borrowed view has become
  // invalid under its user three times.
  bool owned = false;
  // The user checks each page itself by ChunkView::IsGood before it takes what
  // it made of it, and asks again without this if one is not.
  bool checks_pages = false;
};

class ChunkView {
 public:
  static constexpr size_t kMaxPieces = 8;
  // Every piece but the last has this size.
  static constexpr uint32_t kPieceSize = 64 * 1024;

  // Owns its bytes; always valid.
  static ChunkView Owned(Bytes bytes);
  // Borrows pieces under a generation: valid while *generation == expected.
  // `page_crcs`: CRC32C of each page; null if there are none.
  ChunkView(const std::array<const std::byte*, kMaxPieces>& pieces,
            uint32_t length, const std::atomic<uint64_t>* generation,
            uint64_t expected,
            const std::atomic<uint32_t>* page_crcs = nullptr);

  uint32_t length() const { return length_; }
  // The longest run of bytes in one piece from `offset` on, up to `length`
  // bytes. Requires: offset + length within length().
  ByteSpan Run(uint32_t offset, uint32_t length) const;
  // False if a page that holds some of these bytes does not fit its CRC: it is
  // damaged, or no longer this chunk's. True if there are no CRCs.
  bool IsGood(uint32_t offset, uint32_t length) const;
  // Has the processor fetch the page at `offset`, if there is one.
  void Prefetch(uint32_t offset) const;
  // A private copy of the whole. Ask still_valid() afterwards.
  Bytes Copy() const;
  // The whole as the caller's own: what the view owns, else a copy. Ask
  // still_valid() afterwards, and nothing else.
  Bytes Take() { return generation_ == nullptr ? TakeOwned() : Copy(); }
  // False if the memory has been given to another chunk since the view was
  // made: throw away what was computed from it.
  bool still_valid() const;

 private:
  ChunkView() = default;
  Bytes TakeOwned();

  Bytes owned_;
  std::array<const std::byte*, kMaxPieces> pieces_{};
  uint32_t length_ = 0;
  bool contiguous_ = false;
  const std::atomic<uint64_t>* generation_ = nullptr;
  uint64_t expected_ = 0;
  const std::atomic<uint32_t>* page_crcs_ = nullptr;
};

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;

  // kNotFound: this source has no such chunk: ask the next tier, or resolve
  // the record again. kCorrupt: every copy that it has is damaged; discard and
  // fetch elsewhere. kTimeout: `want.deadline` passed. kUnavailable: it does
  // not answer. kExhausted: it sheds load.
  virtual Result<ChunkView> Get(const ChunkRef& ref, const Want& want) = 0;
};

}  // namespace morsel
