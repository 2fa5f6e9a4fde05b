// SPDX-License-Identifier: Apache-2.0
// Stream: a connected socket that never blocks, plain or with TLS.
//
// Read and Write do what is possible now. 0 means that the caller waits until
// the descriptor is ready for `awaited()` and calls again; with TLS a read may
// wait for POLLOUT and a write for POLLIN.
//
// Thread safety: owned by one thread at a time.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <span>
#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace morsel {

class Stream {
 public:
  virtual ~Stream() = default;

  virtual int fd() const = 0;
  // kUnavailable: the other side is gone, or does not speak TLS. kDenied: a
  // certificate is not trusted.
  virtual Result<size_t> Read(std::span<const iovec> parts) = 0;
  virtual Result<size_t> Write(std::span<const iovec> parts) = 0;
  // POLLIN or POLLOUT: what the last call that gave 0 waits for.
  virtual short awaited() const = 0;
  // True if a Read gives bytes though the descriptor may not be readable.
  virtual bool has_buffered() const = 0;
  // The common name in the other side's certificate once it is verified; else
  // empty.
  virtual std::string PeerName() const = 0;
};

// A plain stream over a connected (or connecting) non-blocking socket.
std::unique_ptr<Stream> MakePlainStream(Fd socket);

}  // namespace morsel
