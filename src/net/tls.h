// SPDX-License-Identifier: Apache-2.0
// TLS 1.3 with certificates on both sides, by OpenSSL, as streams.
//
// Each side shows a certificate that the common authority (CA) has signed; the
// client also checks that the server's is for the host that it connects to.
// What a client may do follows from the common name in its certificate.
//
// Loading the files ignores SIGPIPE in this process from then on: OpenSSL
// writes to sockets with write(2).
//
// Thread safety: a context is immutable and thread-safe; streams as stream.h.
#pragma once

#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "net/stream.h"

namespace morsel {

// PEM files.
struct TlsFiles {
  std::string ca;    // who signs the other side
  std::string cert;  // our certificate, with its chain
  std::string key;   // its private key
};

class TlsContext {
 public:
  enum class Side { kServer, kClient };

  // kInvalid: a file is missing, unreadable, or does not fit the others; the
  // message names it.
  static Result<std::shared_ptr<const TlsContext>> Load(Side side,
                                                        const TlsFiles& files);
  virtual ~TlsContext() = default;

  // A stream over a connected (or connecting) non-blocking socket. The
  // handshake is part of the first reads and writes. `host` is what the
  // server's certificate must be for: a name or an address; the server's side
  // leaves it empty.
  virtual Result<std::unique_ptr<Stream>> MakeStream(
      Fd socket, const std::string& host) const = 0;
};

}  // namespace morsel
