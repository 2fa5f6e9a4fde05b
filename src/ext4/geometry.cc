// SPDX-License-Identifier: Apache-2.0
#include "ext4/geometry.h"

#include <string>

namespace morsel {

Result<uint32_t> ChooseFlexGroups(uint64_t places, uint64_t inodes) {
  for (const uint32_t flex : {1u, 4u, kMostFlexGroups}) {
    if (places <= uint64_t{flex} * kPlacesPerFlex &&
        inodes <= uint64_t{flex} * kFlexInodes) {
      return flex;
    }
  }
  if (inodes > kMostInodes) {
    return MakeError(Code::kInvalid,
                     "the image needs " + std::to_string(inodes) +
                         " inodes, the largest file system of 256 GiB has " +
                         std::to_string(kMostInodes));
  }
  return MakeError(Code::kInvalid,
                   "the image needs " + HumanSize(places * kBlockBytes) +
                       " for content, the largest file system of 256 GiB has " +
                       HumanSize(kMostPlaces * kBlockBytes));
}

}  // namespace morsel
