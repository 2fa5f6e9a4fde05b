// SPDX-License-Identifier: Apache-2.0
// A stream of bytes that is read once, front to back, in pieces that the
// source owns: what the layer filters are chained with.
//
// Thread safety: owned by one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"

namespace morsel {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next piece, never empty before the end; empty at the end. It is valid
  // until the next call. After an error the source is of no further use.
  virtual Result<ByteSpan> Read() = 0;
};

// A run of bytes in an open file: a blob in a folder is a whole file, one in
// an archive is a part of the archive's file. Values; the file is shared.
struct FileRange {
  std::shared_ptr<const Fd> file;
  uint64_t offset = 0;
  uint64_t size_bytes = 0;
};

// Reads a range in pieces of 256 KiB. kCorrupt if the file ends before it.
std::unique_ptr<ByteSource> ReadRange(FileRange range);

// All bytes of a range. kInvalid if it is larger than `limit_bytes`, kCorrupt
// if the file ends before it.
Result<std::string> ReadText(const FileRange& range, uint64_t limit_bytes);

}  // namespace morsel
