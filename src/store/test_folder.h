// SPDX-License-Identifier: Apache-2.0
// A temporary folder for tests, removed with all that is in it.
//
// Thread safety: owned by one thread.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/check.h"

namespace morsel {

class TestFolder {
 public:
  TestFolder() {
    std::string path =
        (std::filesystem::temp_directory_path() / "morsel-XXXXXX").string();
    CHECK(::mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace morsel
