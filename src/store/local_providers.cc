// SPDX-License-Identifier: Apache-2.0
#include "store/conformance.h"
#include "store/dir_store.h"
#include "store/memory_store.h"

namespace morsel {

std::vector<ConformanceProvider> ConformanceProviders() {
  return {{"Memory",
           [](const std::string&) { return std::make_unique<MemoryStore>(); }},
          {"Directory", [](const std::string& folder) {
             auto store = DirStore::Open(folder, Access::kWrite);
             CHECK(store.ok());
             return std::move(store).value();
           }}};
}

}  // namespace morsel
