// SPDX-License-Identifier: Apache-2.0
#include "gc/each_key.h"

namespace morsel {

Status ForEachKey(ObjectStore& store, const std::string& prefix,
                  const std::function<Status(const ObjectPage::Row&)>& visit) {
  constexpr size_t kPageRows = 1000;
  for (std::string after;;) {
    ASSIGN_OR_RETURN(const ObjectPage page,
                     store.List(prefix, after, kPageRows));
    for (const ObjectPage::Row& row : page.rows) RETURN_IF_ERROR(visit(row));
    if (!page.more || page.rows.empty()) return Ok();
    after = page.rows.back().key;
  }
}

}  // namespace morsel
