// SPDX-License-Identifier: Apache-2.0
// StripeSet: what the places of one chunk answered, and the chunk that can be
// made of it. No I/O.
//
// Thread safety: owned by one thread.
#pragma once

#include <optional>
#include <vector>

#include "chunk/chunk_source.h"
#include "erasure/code.h"
#include "zonecache/repair_plan.h"
#include "zonecache/reply_reader.h"

namespace morsel {

class StripeSet {
 public:
  StripeSet(const ErasureCode& code, const ChunkRef& ref);

  // Also of one that came after Assemble had all that it needs: it may be bad,
  // or missing, too.
  void Answered(uint32_t place, Reply reply);
  void Away(uint32_t place);

  // Distinct stripes whose checksum fits.
  uint32_t distinct() const { return distinct_; }
  uint32_t misses() const { return misses_; }
  uint32_t bad() const { return bad_; }
  // Whether k can still come together, if `pending` places have yet to answer.
  bool possible(size_t pending) const {
    return distinct_ + pending >= code_.k();
  }

  // The chunk, if some k of the stripes give what fits its name: the first k,
  // or those that are left when one is left out. Whatever does not fit the
  // chunk that was found becomes bad.
  std::optional<Bytes> Assemble();
  // True if Assemble used parity.
  bool decoded() const { return decoded_; }

  const std::vector<PlaceState>& places() const { return places_; }

 private:
  std::optional<Bytes> Rebuild(std::optional<uint32_t> left_out);
  void Judge(const Bytes& chunk);
  void MarkBad(uint32_t place);

  const ErasureCode& code_;
  const ChunkRef& ref_;
  std::vector<PlaceState> places_;
  std::vector<Bytes> values_;      // by place
  std::vector<ByteSpan> stripes_;  // by index; into values_
  uint32_t distinct_ = 0;
  uint32_t misses_ = 0;
  uint32_t bad_ = 0;
  bool decoded_ = false;
};

}  // namespace morsel
