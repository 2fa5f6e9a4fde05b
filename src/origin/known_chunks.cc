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
// 256,000 names are 8 MiB, whatever the image.
constexpr size_t kMaxPages = 256;
constexpr std::string_view kHexDigits = "0123456789abcdef";
// From here on a list is worth its own connection for each first digit.
constexpr double kManyPages = 4;

std::string ChunksFolder(const std::string& root) {
  return "roots/" + root + "/chunks/";
}

// Adds the page's names; what is no chunk's key is none of ours.
void AddNames(const ObjectPage& page, std::vector<ChunkName>& names) {
  for (const ObjectPage::Row& row : page.rows) {
    const size_t slash = row.key.rfind('/');
    const Result<ChunkName> name =
        ChunkName::Parse(std::string_view(row.key).substr(slash + 1));
    if (name.ok()) names.push_back(*name);
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
  std::vector<ChunkName> names;
  uint64_t requests = 0;
};

// All names that begin with `digit`.
Status ListSlice(ObjectStore& store, const std::string& prefix, Slice& slice) {
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store.List(prefix, after, kListPage));
    ++slice.requests;
    AddNames(page, slice.names);
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
  AddNames(first, known.names_);
  if (!first.more || known.names_.empty()) return known;
  const double pages = 1 / ShareUpTo(known.names_.back());
  const size_t affordable = std::min(chunk_count / kRequestShare, kMaxPages);
  if (std::ceil(pages) > static_cast<double>(affordable)) {
    known.end_ = known.names_.back();
    known.has_end_ = true;
    return known;
  }
  known.names_.clear();
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
    known.names_.insert(known.names_.end(), slice.names.begin(),
                        slice.names.end());
  }
  return known;
}

KnownChunks::Answer KnownChunks::Look(const ChunkName& name) const {
  if (std::binary_search(names_.begin(), names_.end(), name))
    return Answer::kPresent;
  return has_end_ && name > end_ ? Answer::kUnknown : Answer::kAbsent;
}

}  // namespace morsel
