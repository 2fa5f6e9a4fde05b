// SPDX-License-Identifier: Apache-2.0
#include "ext4/scratch.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace morsel {
namespace {

// O_TMPFILE, or where the file system has none, a file that loses its name.
Result<Fd> OpenUnnamed(const std::string& folder) {
  auto file = OpenFile(folder, O_TMPFILE | O_RDWR, 0600);
  if (file.ok()) return file;
  std::string path = folder + "/morsel-ext4-XXXXXX";
  const int fd = mkostemp(path.data(), O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "make a scratch file in " + folder);
  Fd named(fd);
  if (unlink(path.c_str()) != 0) return ErrnoError(errno, "unlink " + path);
  return named;
}

}  // namespace

Result<std::unique_ptr<Scratch>> Scratch::Create(const std::string& folder) {
  ASSIGN_OR_RETURN(Fd file, OpenUnnamed(folder));
  return std::unique_ptr<Scratch>(new Scratch(std::move(file)));
}

bool Scratch::Written(uint64_t page) const {
  const auto it = chunks_.find(static_cast<uint32_t>(page / kChunkBlocks));
  return it != chunks_.end() && it->second.written[page % kChunkBlocks];
}

Status Scratch::Write(uint64_t offset, ByteSpan bytes, Use use) {
  while (!bytes.empty()) {
    const uint64_t page = offset / kBlockBytes;
    const size_t length =
        std::min<size_t>(bytes.size(), kBlockBytes - offset % kBlockBytes);
    const ByteSpan part = bytes.first(length);
    if (Written(page) || !IsZero(part)) {
      auto status = WriteFullAt(file_.get(), offset, part);
      if (!status.ok()) {
        if (status_.ok()) status_ = status;
        return status;
      }
      ChunkPages& chunk = chunks_[static_cast<uint32_t>(page / kChunkBlocks)];
      chunk.written.set(page % kChunkBlocks);
      chunk.live |= use == Use::kLive;
    }
    bytes = bytes.subspan(length);
    offset += length;
  }
  return Ok();
}

Status Scratch::Read(uint64_t offset, MutableByteSpan out) const {
  while (!out.empty()) {
    const size_t length =
        std::min<size_t>(out.size(), kBlockBytes - offset % kBlockBytes);
    const MutableByteSpan part = out.first(length);
    std::fill(part.begin(), part.end(), std::byte{0});
    if (Written(offset / kBlockBytes)) {
      // The page may be the last and written in part only.
      const ssize_t got = pread(file_.get(), part.data(), part.size(),
                                static_cast<off_t>(offset));
      if (got < 0) return ErrnoError(errno, "read the ext4 scratch file");
    }
    out = out.subspan(length);
    offset += length;
  }
  return Ok();
}

}  // namespace morsel
