// SPDX-License-Identifier: Apache-2.0
// BlockDevice: bytes at offsets. The third of the three interfaces that carry
// the system. It knows nothing of how it is presented (frontend/).
//
// Offsets and lengths need no alignment. A call outside of size() is kInvalid.
// A write is seen by every later read; it is durable after Flush, as far as
// the implementation says that it ever is.
//
// Thread safety: implementations are thread-safe. Calls block.
// Errors: kCorrupt (every copy of the data is damaged), kTimeout,
// kUnavailable, kExhausted (full: ENOSPC), kDenied (read only: EACCES), kIo.
// After an error the buffer of a read holds nothing of use.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

class BlockDevice {
 public:
  virtual ~BlockDevice() = default;

  // In bytes, a multiple of 4096; never changes.
  virtual uint64_t size() const = 0;
  virtual Status Read(uint64_t offset, MutableByteSpan out) = 0;
  virtual Status Write(uint64_t offset, ByteSpan bytes) = 0;
  virtual Status Flush() = 0;
  // The range reads as zeros afterwards; its space may be given back.
  virtual Status Discard(uint64_t offset, uint64_t length) = 0;
  // The range reads as zeros afterwards.
  virtual Status Zero(uint64_t offset, uint64_t length) = 0;
};

}  // namespace morsel
