// SPDX-License-Identifier: Apache-2.0
#include "gc/each_key.h"

#include "base/parallel.h"

namespace morsel {

Status ForEachKey(ObjectStore& store, const std::string& prefix,
                  const KeyVisitor& visit) {
  constexpr size_t kPageRows = 1000;
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store.List(prefix, after, kPageRows));
    for (const ObjectPage::Row& row : page.rows) RETURN_IF_ERROR(visit(row));
    if (!page.more || page.rows.empty()) return Ok();
    after = page.rows.back().key;
  }
}

Status ForEachKeyAtOnce(ObjectStore& store, const std::string& prefix,
                        size_t thread_count, const KeyVisitor& visit) {
  if (thread_count <= 1) return ForEachKey(store, prefix, visit);
  JobPool pool(thread_count, thread_count);
  const Status listed =
      ForEachKey(store, prefix, [&](const ObjectPage::Row& row) {
        return pool.Submit([&visit, row] { return visit(row); });
      });
  const Status visited = pool.Finish();
  return listed.ok() ? visited : listed;
}

}  // namespace morsel
