// SPDX-License-Identifier: Apache-2.0
#include "store/open_store.h"

#include "store/dir_store.h"

namespace morsel {

Result<std::unique_ptr<ObjectStore>> OpenStore(const std::string& origin,
                                               Access access) {
  std::string path = origin;
  if (path.starts_with("dir:")) {
    path = path.substr(4);
  } else if (const size_t colon = path.find("://");
             colon != std::string::npos) {
    return MakeError(Code::kInvalid,
                     "the origin " + origin + ": this build has no provider " +
                         path.substr(0, colon) + "; use a directory");
  }
  if (path.empty())
    return MakeError(Code::kInvalid,
                     "the origin is empty: name a directory with --origin");
  return DirStore::Open(path, access);
}

}  // namespace morsel
