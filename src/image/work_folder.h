// SPDX-License-Identifier: Apache-2.0
// A private folder for as long as a convert runs.
//
// Files in it have no names wherever that is possible; what skopeo fetches
// has. So a convert that was killed can leave its folder, which carries its
// pid and start time, and which the next convert removes.
//
// Thread safety: owned by one thread; any number of processes share `parent`.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace morsel {

class WorkFolder {
 public:
  // Makes `parent` if need be. Errors of mkdir(2).
  static Result<std::unique_ptr<WorkFolder>> Create(const std::string& parent);
  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit WorkFolder(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

}  // namespace morsel
