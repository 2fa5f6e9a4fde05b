// SPDX-License-Identifier: Apache-2.0
#include "origin/known_chunks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/parallel.h"

namespace morsel {
namespace {

constexpr size_t kListPage = 1000;
// The lists may take this part of the requests that asking one by one would.
constexpr size_t kRequestShare = 8;
// 256,000 names are 9 MiB, whatever the image.
constexpr size_t kMaxPages = 256;
constexpr std::string_view kHexDigits = "0123456789abcdef";
// From here on a list is worth its own connection for each first digit.
constexpr double kManyPages = 4;

std::string ChunksFolder(const std::string& root) {
  return "roots/" + root + "/chunks/";
}

using Row = KnownChunks::Row;

// Adds the page's chunks; what is no chunk's key is none of ours.
void AddRows(const ObjectPage& page, std::vector<Row>& rows) {
  for (const ObjectPage::Row& row : page.rows) {
    const size_t slash = row.key.rfind('/');
    const Result<ChunkName> name =
        ChunkName::Parse(std::string_view(row.key).substr(slash + 1));
    const auto size_bytes = static_cast<uint32_t>(
        std::min(row.info.size_bytes, uint64_t{UINT32_MAX}));
    if (name.ok()) rows.push_back({*name, size_bytes});
  }
}

// The part of all names that come up to `name`.
double ShareUpTo(const ChunkName& name) {
  double share = 0;
  double unit = 1;
  for (size_t i = 0; i < 8; ++i) {
    unit /= 256;
    share += std::to_integer<int>(name.digest()[i]) * unit;
  }
  return std::max(share, 0x1p-53);
}

struct Slice {
  std::vector<Row> rows;
  uint64_t requests = 0;
};

// All chunks whose names begin with a digit.
Status ListSlice(ObjectStore& store, const std::string& prefix, Slice& slice) {
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store.List(prefix, after, kListPage));
    ++slice.requests;
    AddRows(page, slice.rows);
    if (!page.more) return Ok();
    after = page.rows.back().key;
  }
}

}  // namespace

Result<KnownChunks> KnownChunks::Load(ObjectStore& store,
                                      const std::string& root,
                                      size_t chunk_count) {
  KnownChunks known;
  const std::string folder = ChunksFolder(root);
  ASSIGN_OR_RETURN(const ObjectPage first, store.List(folder, "", kListPage));
  known.request_count_ = 1;
  AddRows(first, known.rows_);
  if (!first.more || known.rows_.empty()) return known;
  const double pages = 1 / ShareUpTo(known.rows_.back().name);
  const size_t affordable = std::min(chunk_count / kRequestShare, kMaxPages);
  if (std::ceil(pages) > static_cast<double>(affordable)) {
    known.end_ = known.rows_.back().name;
    known.has_end_ = true;
    return known;
  }
  known.rows_.clear();
  std::array<Slice, kHexDigits.size()> slices;
  JobPool pool(pages > kManyPages ? kHexDigits.size() : 2, kHexDigits.size());
  for (size_t i = 0; i < slices.size(); ++i) {
    const Status submitted = pool.Submit(
        [&, i] { return ListSlice(store, folder + kHexDigits[i], slices[i]); });
    if (!submitted.ok()) break;
  }
  RETURN_IF_ERROR(pool.Finish());
  for (const Slice& slice : slices) {  // in the order of names
    known.request_count_ += slice.requests;
    known.rows_.insert(known.rows_.end(), slice.rows.begin(), slice.rows.end());
  }
  return known;
}

KnownChunks::Answer KnownChunks::Look(const ChunkName& name,
                                      uint32_t stored_length) const {
  const auto row = std::lower_bound(
      rows_.begin(), rows_.end(), name,
      [](const Row& a, const ChunkName& b) { return a.name < b; });
  if (row != rows_.end() && row->name == name)
    return row->size_bytes == stored_length ? Answer::kPresent
                                            : Answer::kDamaged;
  return has_end_ && name > end_ ? Answer::kUnknown : Answer::kAbsent;
}

}  // namespace morsel
