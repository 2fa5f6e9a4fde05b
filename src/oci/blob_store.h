// SPDX-License-Identifier: Apache-2.0
// The files of an image as it lies on disk: in a folder, or inside a tar,
// which is read in place and never unpacked, so that no name in it can do
// harm.
//
// Thread safety: thread-safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "oci/byte_source.h"

namespace morsel {

class BlobStore {
 public:
  virtual ~BlobStore() = default;
  // The file with that path ("blobs/sha256/<hex>"). kNotFound; kInvalid if it
  // is no regular file.
  virtual Result<FileRange> Open(const std::string& path) const = 0;
};

// kNotFound if there is no such folder.
Result<std::unique_ptr<BlobStore>> OpenFolder(const std::string& path);
// A tar, also a compressed one, which is unpacked whole into an unnamed file
// in `work_dir` first. kNotFound; kInvalid if it is no tar; kCorrupt if it is
// cut short; kExhausted if work_dir is full.
Result<std::unique_ptr<BlobStore>> OpenArchive(const std::string& path,
                                               const std::string& work_dir);

// A file without a name in `dir`: it is gone when it is closed. Errors of
// open(2).
Result<Fd> MakeUnnamedFile(const std::string& dir);

}  // namespace morsel
