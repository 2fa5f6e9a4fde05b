// SPDX-License-Identifier: Apache-2.0
#include "erasure/code.h"

#include <isa-l/erasure_code.h>

#include <algorithm>

namespace morsel {
namespace {

// What ISA-L makes of each coefficient.
constexpr size_t kTableBytes = 32;

uint8_t* BytePointer(const std::byte* bytes) {
  // ISA-L's signatures lack const.
  return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(bytes));
}

// The rows that turn the k stripes `used` into the data stripes `missing`.
std::vector<uint8_t> RecoveryRows(std::span<const uint8_t> matrix, size_t k,
                                  std::span<const uint32_t> used,
                                  std::span<const uint32_t> missing) {
  std::vector<uint8_t> rows(k * k);
  for (size_t i = 0; i < k; ++i)
    std::copy_n(matrix.begin() + used[i] * k, k, rows.begin() + i * k);
  std::vector<uint8_t> inverse(k * k);
  // Any k rows of the matrix are independent.
  CHECK(gf_invert_matrix(rows.data(), inverse.data(), static_cast<int>(k)) ==
        0);
  std::vector<uint8_t> wanted;
  for (const uint32_t row : missing)
    wanted.insert(wanted.end(), inverse.begin() + row * k,
                  inverse.begin() + (row + 1) * k);
  return wanted;
}

}  // namespace

Result<ErasureCode> ErasureCode::Make(uint32_t k, uint32_t r) {
  if (k < 1 || r > kMaxStripes || k > kMaxStripes - r)
    return MakeError(Code::kInvalid,
                     "an erasure code of " + std::to_string(k) + "+" +
                         std::to_string(r) +
                         ": at least one data stripe and at most " +
                         std::to_string(kMaxStripes) + " stripes together");
  return ErasureCode(k, r);
}

ErasureCode::ErasureCode(uint32_t k, uint32_t r)
    : k_(k), r_(r), matrix_((k + r) * k), tables_(kTableBytes * k * r) {
  for (size_t i = 0; i < k; ++i) matrix_[i * k + i] = 1;
  // Row k + i of the Cauchy matrix is 1 / ((k + i) ^ column); each column is
  // divided by its first element, which is multiplying by k ^ column.
  for (uint32_t i = 0; i < r; ++i)
    for (uint32_t column = 0; column < k; ++column)
      matrix_[(k + i) * k + column] =
          gf_mul(gf_inv(static_cast<uint8_t>((k + i) ^ column)),
                 static_cast<uint8_t>(k ^ column));
  if (r > 0)
    ec_init_tables(static_cast<int>(k), static_cast<int>(r), &matrix_[k * k],
                   tables_.data());
}

Bytes ErasureCode::Encode(ByteSpan data) const {
  CHECK(!data.empty());
  const size_t length = StripeLength(data.size());
  Bytes stripes;
  stripes.reserve(length * stripe_count());
  stripes.assign(data.begin(), data.end());
  stripes.resize(length * stripe_count());
  std::vector<uint8_t*> sources(k_);
  std::vector<uint8_t*> parity(r_);
  for (size_t i = 0; i < k_; ++i)
    sources[i] = BytePointer(&stripes[i * length]);
  for (size_t i = 0; i < r_; ++i)
    parity[i] = BytePointer(&stripes[(k_ + i) * length]);
  if (r_ > 0)
    ec_encode_data(static_cast<int>(length), static_cast<int>(k_),
                   static_cast<int>(r_), const_cast<uint8_t*>(tables_.data()),
                   sources.data(), parity.data());
  return stripes;
}

Status ErasureCode::Rebuild(std::span<const ByteSpan> stripes,
                            MutableByteSpan out) const {
  CHECK(stripes.size() == stripe_count() && !out.empty());
  const size_t length = StripeLength(out.size());
  std::vector<uint32_t> used;
  std::vector<uint32_t> missing;
  for (uint32_t i = 0; i < stripe_count() && used.size() < k_; ++i) {
    if (!stripes[i].empty()) {
      used.push_back(i);
    } else if (i < k_) {
      missing.push_back(i);
    }
  }
  if (used.size() < k_)
    return MakeError(Code::kNotFound, "only " + std::to_string(used.size()) +
                                          " of " + std::to_string(k_) +
                                          " stripes are there");
  for (const uint32_t i : used)
    if (stripes[i].size() != length)
      return MakeError(Code::kInvalid, "stripe " + std::to_string(i) + " has " +
                                           std::to_string(stripes[i].size()) +
                                           " bytes, not " +
                                           std::to_string(length));
  for (const uint32_t i : used) {
    if (i >= k_ || i * length >= out.size()) continue;
    const size_t count = std::min(length, out.size() - i * length);
    std::copy_n(stripes[i].begin(), count, out.begin() + i * length);
  }
  if (!missing.empty()) Recover(used, stripes, missing, out);
  return Ok();
}

void ErasureCode::Recover(std::span<const uint32_t> used,
                          std::span<const ByteSpan> stripes,
                          std::span<const uint32_t> missing,
                          MutableByteSpan out) const {
  const size_t length = StripeLength(out.size());
  std::vector<uint8_t> rows = RecoveryRows(matrix_, k_, used, missing);
  std::vector<uint8_t> tables(kTableBytes * k_ * missing.size());
  ec_init_tables(static_cast<int>(k_), static_cast<int>(missing.size()),
                 rows.data(), tables.data());
  std::vector<uint8_t*> sources(k_);
  for (size_t i = 0; i < k_; ++i)
    sources[i] = BytePointer(stripes[used[i]].data());
  // A stripe that does not lie whole within `out` is made beside it.
  std::vector<Bytes> beside;
  beside.reserve(missing.size());
  std::vector<uint8_t*> targets;
  for (const uint32_t i : missing) {
    if ((i + 1) * length <= out.size()) {
      targets.push_back(BytePointer(&out[i * length]));
    } else {
      targets.push_back(BytePointer(beside.emplace_back(length).data()));
    }
  }
  ec_encode_data(static_cast<int>(length), static_cast<int>(k_),
                 static_cast<int>(missing.size()), tables.data(),
                 sources.data(), targets.data());
  auto made = beside.begin();
  for (const uint32_t i : missing) {
    if ((i + 1) * length <= out.size()) continue;
    if (i * length < out.size())
      std::copy_n(made->begin(), out.size() - i * length,
                  out.begin() + i * length);
    ++made;
  }
}

}  // namespace morsel
