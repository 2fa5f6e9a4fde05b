// SPDX-License-Identifier: Apache-2.0
// For tests: what libext2fs, as an independent reader, finds in an image.
//
// Thread safety: used by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace morsel {

// What one name shows.
struct FoundFile {
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t links = 0;
  int64_t mtime_seconds = 0;
  uint32_t mtime_nanoseconds = 0;
  std::string content;  // of a file; of a symlink its target

  bool operator==(const FoundFile&) const = default;
};

// By path, "usr/bin/env"; the root is "". Fails the test on an error.
std::map<std::string, FoundFile> ReadFiles(const std::string& image_path);

}  // namespace morsel
