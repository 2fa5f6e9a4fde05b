// SPDX-License-Identifier: Apache-2.0
// A deterministic ext4 of a tree: the same tree gives the same bytes, always,
// on any machine (docs/formats.md, "File system"; paper.md §1).
//
// Build decides where everything lies and writes the metadata (superblock,
// inodes, directories, extents) into a sparse scratch file by libext2fs,
// without mounting and without root. The data of files is never copied there:
// ReadChunk puts it in from the source, so any number of threads can cut the
// image.
//
// Thread safety: immutable after Build; ReadChunk is thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "ext4/tree.h"

namespace morsel {

class Ext4Image {
 public:
  virtual ~Ext4Image() = default;

  // The scratch file is made in `scratch_dir` and has no name; `source` is
  // used until Build returns. Errors: those of DataSource::Read; kInvalid: the
  // tree does not fit (names the limit and what exceeds it); kExhausted: the
  // scratch folder is full; kIo.
  static Result<std::unique_ptr<Ext4Image>> Build(
      const Tree& tree, DataSource& source, const std::string& scratch_dir);

  // 16, 64 or 256 GiB.
  virtual uint64_t size_bytes() const = 0;
  // Indexes, ascending, of the chunks that may hold anything but zeros; every
  // other chunk is all zeros.
  virtual const std::vector<uint32_t>& chunks() const = 0;
  // The 512 KiB of chunk `index`. Requires: out.size() == 512 KiB.
  virtual Status ReadChunk(uint32_t index, DataSource& source,
                           MutableByteSpan out) const = 0;
};

}  // namespace morsel
