// SPDX-License-Identifier: Apache-2.0
// ChunkSink: where a chunk is offered that came from further away, so that the
// next read finds it nearer.
//
// Thread safety: sinks are thread-safe.
#pragma once

#include "base/bytes.h"
#include "chunk/chunk_source.h"

namespace morsel {

class ChunkSink {
 public:
  virtual ~ChunkSink() = default;

  // May keep a copy, or not: who offers neither waits nor hears of it. The
  // bytes are a whole chunk, and were checked if the source they came from
  // checks (VerifySource).
  virtual void Offer(const ChunkRef& ref, ByteSpan ciphertext) = 0;
};

}  // namespace morsel
