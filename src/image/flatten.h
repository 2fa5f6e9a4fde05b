// SPDX-License-Identifier: Apache-2.0
// Flatten: an image becomes one ext4, whose chunks can then be read.
//
// Thread safety: a FlatImage is thread-safe once it is made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "base/result.h"
#include "ext4/image.h"
#include "image/spool.h"
#include "image/work_folder.h"

namespace morsel {

struct FlattenOptions {
  std::string source;
  std::string platform;
  std::string spool_dir;
  size_t thread_count = 1;
};

struct FlatImage {
  std::string digest;  // of the image (SourceImage::digest)
  std::string suggested_name;
  std::string lowest_diff_id;  // of the base; empty without layers
  std::string config;
  std::vector<std::string> warnings;
  uint64_t file_bytes = 0;   // visible regular files' content
  uint64_t entry_count = 0;  // visible names
  std::unique_ptr<WorkFolder> folder;
  std::unique_ptr<Spool> spool;
  std::unique_ptr<Ext4Image> ext4;
};

// Opens, reads, merges and lays out. Errors of ConvertImage
// (image/convert.h).
Result<FlatImage> FlattenImage(const FlattenOptions& options,
                               Progress& progress);

}  // namespace morsel
