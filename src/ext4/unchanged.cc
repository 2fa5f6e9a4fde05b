// SPDX-License-Identifier: Apache-2.0
#include "ext4/unchanged.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "ext4/extent_map.h"

namespace morsel {
namespace {

constexpr uint64_t kPieceBytes = 256 * kKiB;

bool SameShape(const Tree& tree, const TreeNode& a, const TreeNode& b) {
  if (!S_ISREG(a.mode) || !S_ISREG(b.mode)) return false;
  if (a.size_bytes != b.size_bytes) return false;
  const auto x = ExtentsOf(tree, a);
  const auto y = ExtentsOf(tree, b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [](const TreeExtent& p, const TreeExtent& q) {
                      return p.file_offset == q.file_offset &&
                             p.length == q.length;
                    });
}

class Comparer {
 public:
  explicit Comparer(DataSource& source)
      : source_(source), a_(kPieceBytes), b_(kPieceBytes) {}

  // Whether runs of the source have the same bytes.
  Result<bool> Same(uint64_t a, uint64_t b, uint64_t length) {
    for (uint64_t done = 0; done < length;) {
      const auto count =
          static_cast<size_t>(std::min(length - done, kPieceBytes));
      RETURN_IF_ERROR(source_.Read(a + done, MutableByteSpan(a_).first(count)));
      RETURN_IF_ERROR(source_.Read(b + done, MutableByteSpan(b_).first(count)));
      if (std::memcmp(a_.data(), b_.data(), count) != 0) return false;
      done += count;
    }
    return true;
  }

 private:
  DataSource& source_;
  Bytes a_;
  Bytes b_;
};

}  // namespace

Status FindUnchanged(const Tree& tree, DataSource& source, PathOrder& order) {
  Comparer comparer(source);
  for (uint32_t i = 0; i < tree.nodes.size(); ++i) {
    if (order.before[i] == kNoNode) continue;
    const TreeNode& now = tree.nodes[i];
    const TreeNode& before = tree.nodes[order.before[i]];
    if (!SameShape(tree, now, before)) continue;
    bool same = true;
    for (uint32_t k = 0; k < now.extent_count && same; ++k) {
      const TreeExtent& extent = tree.extents[now.first_extent + k];
      ASSIGN_OR_RETURN(
          same,
          comparer.Same(extent.source_offset,
                        tree.extents[before.first_extent + k].source_offset,
                        extent.length));
    }
    order.unchanged[i] = same;
  }
  return Ok();
}

}  // namespace morsel
