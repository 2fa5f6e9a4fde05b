// SPDX-License-Identifier: Apache-2.0
// A BlockDevice as the file `disk` of a FUSE mount: what loop devices, QEMU
// and Firecracker open.
//
// The mount and its descriptor are made by another process (frontend/guard.h),
// so that they outlive this one. A pool of threads reads requests, each into
// its own slot of memory that the caller allocated; a read's reply is built in
// the same slot behind the request, so the bytes are never copied but by the
// kernel. There is no state per open, no splice and no cloned descriptor: all
// of them would die with the process.
//
// Thread safety: Start and Serve are called once, by one thread.
#pragma once

#include <sys/types.h>

#include <memory>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "block/block_device.h"

namespace morsel {

// The largest read or write that the kernel may ask for, in bytes. The mount
// option max_read must be the same.
inline constexpr size_t kFuseMaxIo = 1 << 20;
// A slot holds a request (at most one page of headers before the bytes of a
// write), or the request's header and, from the second page on, its reply.
inline constexpr size_t kFuseSlotSize = kFuseMaxIo + 4096;

struct FuseFileOptions {
  int fuse_fd = -1;  // /dev/fuse, mounted
  size_t thread_count = 1;
  // thread_count * kFuseSlotSize bytes that begin on a page.
  MutableByteSpan slots;
  bool read_only = false;
  uid_t owner_uid = 0;
  gid_t owner_gid = 0;
};

class FuseFile {
 public:
  virtual ~FuseFile() = default;

  // Takes the descriptor; libfuse opens files for that, so it comes before a
  // process gives up its rights. `clock` must outlive it. kIo: libfuse refuses
  // the descriptor.
  static Result<std::unique_ptr<FuseFile>> Open(Clock& clock,
                                                const FuseFileOptions& options);

  // Answers the kernel's first request (INIT): from then on the file can be
  // used. `device` must outlive it. kIo: the connection is gone.
  virtual Status Start(BlockDevice& device) = 0;
  // Serves until the file system is unmounted or its connection aborted.
  // Errors of the device are answered with the errno of their code, and
  // logged.
  virtual void Serve() = 0;
};

}  // namespace morsel
