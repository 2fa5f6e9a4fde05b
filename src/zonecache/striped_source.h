// SPDX-License-Identifier: Apache-2.0
// StripedSource: the zone cache (L2) as a source of chunks (paper.md §4).
//
// All k + r stripes of a chunk are asked for at once, each of the node that the
// ring names, and the first k that come rebuild it: a slow or dead node costs
// nothing, and the work is the same whether all is well or not. There are no
// retries and no hedges. The nodes are morsel-zonecache or plain memcached.
//
// What is returned was hashed: a rebuild whose SHA-256 does not fit waits for
// the remaining stripes and leaves one out after the other. A place that had
// nothing, or a bad stripe, gets a good one in the background: by `add`, or by
// `cas` where the token of the bad one is known.
//
// It is a sink too: what came from the origin is offered, and put into the zone
// cache in the background, through a bounded queue that drops. What the last
// read of that chunk saw decides which stripe goes where.
//
// Thread safety: thread-safe.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "chunk/chunk_sink.h"
#include "chunk/chunk_source.h"
#include "zonecache/node_pool.h"
#include "zonecache/ring.h"

namespace morsel {

struct StripedOptions {
  uint32_t k = 4;
  uint32_t r = 1;
  // A read that has not got k stripes by then is left to the origin. Above the
  // 99.9th percentile of a busy node, below what the origin takes at its worst.
  std::chrono::milliseconds timeout{250};
  // A put that has not got its answers by then is given up.
  std::chrono::milliseconds put_timeout{2000};
  // Chunks that wait to be put; more are dropped. At 512 KiB, 32 MiB.
  uint32_t put_queue = 64;
  NodePoolOptions pool;
};

struct StripedStats {
  uint64_t gets = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;       // too few stripes, though the nodes answered
  uint64_t failures = 0;     // too few nodes answered
  uint64_t corrupt = 0;      // no set of stripes fits the name
  uint64_t decoded = 0;      // hits that needed a parity stripe
  uint64_t bytes = 0;        // of hits
  uint64_t bad_stripes = 0;  // damaged or wrong
  uint64_t nodes_passed_over = 0;
  uint64_t queued = 0;        // chunks for background puts
  uint64_t dropped = 0;       // chunks that the queue had no room for
  uint64_t added = 0;         // stripes stored where none was
  uint64_t repaired = 0;      // bad stripes replaced
  uint64_t put_failures = 0;  // stripes that a node did not take
};

struct NodeState {
  std::string address;
  NodePoolStats stats;
};

class StripedSource : public ChunkSource, public ChunkSink {
 public:
  // Plain connections if `make_stream` is null. kInvalid: k and r are no code.
  static Result<std::unique_ptr<StripedSource>> Make(
      const StripedOptions& options, StreamMaker make_stream, Clock& clock);

  // From now on these; connections to nodes that stay are kept. May ask the
  // resolver, which blocks. With no nodes every Get is kNotFound.
  virtual void SetNodes(const std::vector<NodeSpec>& nodes) = 0;

  // kNotFound: it is not in the zone cache. kCorrupt: what is there does not
  // fit the name. kUnavailable: too few nodes answer. kTimeout: too few did in
  // time. Each time the next tier is asked; and then Offer.
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override = 0;

  // Waits until everything that is queued has been put or given up: for tests
  // and for a drain.
  virtual void Flush() = 0;

  virtual StripedStats Stats() const = 0;
  virtual std::vector<NodeState> Nodes() const = 0;
};

}  // namespace morsel
