// SPDX-License-Identifier: Apache-2.0
#include "ext4/scratch_io.h"

#include <cerrno>
#include <cstdlib>

namespace morsel {
namespace {

Scratch& ScratchOf(io_channel channel) {
  return *static_cast<Scratch*>(channel->private_data);
}

errcode_t Open(const char* name, int, io_channel* out) {
  io_channel channel = nullptr;
  const errcode_t error = ext2fs_get_memzero(sizeof(*channel), &channel);
  if (error != 0) return error;
  channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  channel->manager = ScratchIoManager();
  channel->block_size = 1024;
  channel->refcount = 1;
  channel->private_data =
      reinterpret_cast<void*>(std::strtoull(name, nullptr, 16));
  *out = channel;
  return 0;
}

errcode_t Close(io_channel channel) {
  if (--channel->refcount == 0) ext2fs_free_mem(&channel);
  return 0;
}

errcode_t SetBlockSize(io_channel channel, int block_size) {
  channel->block_size = block_size;
  return 0;
}

// A negative count is one of bytes.
size_t ByteCount(io_channel channel, int count) {
  return count < 0 ? static_cast<size_t>(-static_cast<int64_t>(count))
                   : static_cast<size_t>(count) *
                         static_cast<size_t>(channel->block_size);
}

uint64_t Offset(io_channel channel, unsigned long long block) {
  return block * static_cast<uint64_t>(channel->block_size);
}

errcode_t Read(io_channel channel, unsigned long long block, int count,
               void* data) {
  const MutableByteSpan out(static_cast<std::byte*>(data),
                            ByteCount(channel, count));
  return ScratchOf(channel).Read(Offset(channel, block), out).ok() ? 0 : EIO;
}

errcode_t Write(io_channel channel, unsigned long long block, int count,
                const void* data) {
  const ByteSpan bytes(static_cast<const std::byte*>(data),
                       ByteCount(channel, count));
  return ScratchOf(channel)
                 .Write(Offset(channel, block), bytes, Use::kLive)
                 .ok()
             ? 0
             : EIO;
}

errcode_t ReadNarrow(io_channel channel, unsigned long block, int count,
                     void* data) {
  return Read(channel, block, count, data);
}

errcode_t WriteNarrow(io_channel channel, unsigned long block, int count,
                      const void* data) {
  return Write(channel, block, count, data);
}

errcode_t Flush(io_channel) { return 0; }

struct_io_manager MakeManager() {
  struct_io_manager manager = {};
  manager.magic = EXT2_ET_MAGIC_IO_MANAGER;
  manager.name = "Morsel scratch file";
  manager.open = Open;
  manager.close = Close;
  manager.set_blksize = SetBlockSize;
  manager.read_blk = ReadNarrow;
  manager.write_blk = WriteNarrow;
  manager.read_blk64 = Read;
  manager.write_blk64 = Write;
  manager.flush = Flush;
  return manager;
}

}  // namespace

io_manager ScratchIoManager() {
  static struct_io_manager manager = MakeManager();
  return &manager;
}

std::string ScratchIoName(Scratch& scratch) {
  char name[32];
  snprintf(
      name, sizeof(name), "%llx",
      static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(&scratch)));
  return name;
}

}  // namespace morsel
