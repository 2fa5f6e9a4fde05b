// SPDX-License-Identifier: Apache-2.0
// A BlockDevice as the file `disk` of a FUSE mount: what loop devices, QEMU
// and Firecracker open.
//
// The mount and its descriptor are made by another process (frontend/guard.h),
// so that they outlive this one. A pool of threads reads requests, each into
// its own slot of shared memory (frontend/fuse_slots.h); a read's reply is
// built in the same slot behind the request, so the bytes are never copied but
// by the kernel. There is no state per open, no splice and no cloned
// descriptor: all of them would die with the process.
//
// A process may be killed at any time. Its successor opens the same descriptor
// and slots, and first does what was left undone: writes, discards and flushes
// in their order, before it receives anything new; those that were executed are
// only answered again. The kernel refuses an answer that it has got already.
//
// A request of a user who is interrupted by a signal ends with EINTR if it is a
// read; what changes the device is always carried out.
//
// Thread safety: Start and Serve are called once, by one thread.
#pragma once

#include <sys/types.h>

#include <memory>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "block/block_device.h"
#include "frontend/fuse_slots.h"

namespace morsel {

struct FuseFileOptions {
  int fuse_fd = -1;  // /dev/fuse, mounted
  // Whole, and locked; must outlive the file. As many threads as slots.
  FuseSlots* slots = nullptr;
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

  // Answers the kernel's first request (INIT), or is fed the record of it, and
  // takes over what a predecessor left undone: from then on the file can be
  // used. `device` must outlive it. kIo: the connection is gone.
  virtual Status Start(BlockDevice& device) = 0;
  // Serves until the file system is unmounted or its connection aborted.
  // Errors of the device are answered with the errno of their code, and
  // logged.
  virtual void Serve() = 0;
};

}  // namespace morsel
