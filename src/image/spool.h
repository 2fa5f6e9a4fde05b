// SPDX-License-Identifier: Apache-2.0
// The contents of all files of an image, on disk between the two passes: one
// file without a name for each layer, so that nothing stays behind however
// the process ends, and so that where data lies does not depend on which
// thread was faster.
//
// Thread safety: each layer has one writer, owned by one thread; Read is
// thread-safe once the writers are done.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "ext4/tree.h"

namespace morsel {

class Spool final : public DataSource {
 public:
  // kExhausted if `dir` has less room than `expected_bytes` and a reserve.
  static Result<std::unique_ptr<Spool>> Create(const std::string& dir,
                                               size_t layer_count,
                                               uint64_t expected_bytes);

  Status Read(uint64_t source_offset, MutableByteSpan out) override;

 private:
  friend class SpoolWriter;
  Spool(std::string dir, std::vector<Fd> files)
      : dir_(std::move(dir)), files_(std::move(files)) {}

  const std::string dir_;
  const std::vector<Fd> files_;  // of the layers
};

// Appends to one layer's file, by way of a buffer of 1 MiB.
class SpoolWriter {
 public:
  SpoolWriter(Spool& spool, size_t layer);

  // The source offset (TreeExtent) of what was appended. kExhausted: the
  // folder is full, or about to be; kIo.
  Result<uint64_t> Append(ByteSpan bytes);
  // Writes out the buffer. Call once, at the end.
  Status Flush();

 private:
  const Spool& spool_;
  const size_t layer_;
  uint64_t written_bytes_ = 0;
  uint64_t checked_bytes_ = 0;  // there was room up to here
  Bytes buffer_;
};

}  // namespace morsel
