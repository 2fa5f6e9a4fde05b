// SPDX-License-Identifier: Apache-2.0
// ErasureCode: k data stripes and r parity stripes, any k of which give the
// data back (paper.md §4). Systematic Reed-Solomon over GF(2^8) by ISA-L.
//
// The parity rows are those of a Cauchy matrix whose columns are scaled so that
// the first row is all ones: scaling a column keeps every square part
// invertible, and so the first parity stripe is the XOR of the data whatever r
// is, and a code of r = 1 is plain XOR.
//
// The data is cut in k stripes of equal length, the last one filled up with
// zeros. A stripe carries no mark of its own: who keeps it keeps its index too.
//
// Thread safety: immutable.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

class ErasureCode {
 public:
  // The most stripes, data and parity together.
  static constexpr uint32_t kMaxStripes = 64;

  // kInvalid unless k is at least 1 and k + r at most kMaxStripes.
  static Result<ErasureCode> Make(uint32_t k, uint32_t r);

  uint32_t k() const { return k_; }
  uint32_t r() const { return r_; }
  uint32_t stripe_count() const { return k_ + r_; }
  // Bytes of each stripe of data of this length.
  size_t StripeLength(size_t data_length) const {
    return (data_length + k_ - 1) / k_;
  }

  // All stripes one behind the other, StripeLength(data.size()) each, the
  // data's first. Requires: data not empty.
  Bytes Encode(ByteSpan data) const;

  // The data from k or more stripes: `stripes` has one entry for each index,
  // empty where it is missing. The lowest k that are there are used. kNotFound
  // if there are fewer than k; kInvalid if one of these has another length than
  // StripeLength(out.size()). Requires: stripes.size() == stripe_count(), out
  // not empty.
  Status Rebuild(std::span<const ByteSpan> stripes, MutableByteSpan out) const;

 private:
  ErasureCode(uint32_t k, uint32_t r);

  // Gives the rows of data that are missing, from the k stripes `used`.
  void Recover(std::span<const uint32_t> used,
               std::span<const ByteSpan> stripes,
               std::span<const uint32_t> missing, MutableByteSpan out) const;

  uint32_t k_;
  uint32_t r_;
  std::vector<uint8_t> matrix_;  // (k + r) rows of k coefficients
  std::vector<uint8_t> tables_;  // ISA-L's, of the r parity rows
};

}  // namespace morsel
