// SPDX-License-Identifier: Apache-2.0
// The sparse file that holds the metadata of an image under construction, and
// which of its pages were written.
//
// The bookkeeping is ours, not SEEK_DATA's: not every file system of a scratch
// folder reports holes, and a zero page that was written is none to us.
//
// Thread safety: Write is called by one thread, and not beside Read; Read is
// thread-safe.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "ext4/geometry.h"

namespace morsel {

// A relic is what nothing in the file system refers to, but a chunk that
// other images share has it (docs/formats.md, "File system").
enum class Use { kLive, kRelic };

struct ChunkPages {
  std::bitset<kChunkBlocks> written;
  bool live = false;  // something in it is not a relic
};

class Scratch {
 public:
  // A file without a name in `folder`. kIo, kDenied, kExhausted.
  static Result<std::unique_ptr<Scratch>> Create(const std::string& folder);

  // Zeros over what was never written are not stored. kExhausted: the folder
  // is full; kIo. The first failure is kept, see status().
  Status Write(uint64_t offset, ByteSpan bytes, Use use);
  Status Read(uint64_t offset, MutableByteSpan out) const;

  // The first failure of a Write: libext2fs passes on only a number.
  const Status& status() const { return status_; }
  // By index of the chunk.
  const std::map<uint32_t, ChunkPages>& chunks() const { return chunks_; }

 private:
  explicit Scratch(Fd file) : file_(std::move(file)) {}
  bool Written(uint64_t page) const;

  Fd file_;
  Status status_;
  std::map<uint32_t, ChunkPages> chunks_;
};

}  // namespace morsel
