// SPDX-License-Identifier: Apache-2.0
// MemcacheCommands: executes the requests of one connection on a TieredCache
// and writes the answers as memcached 1.6.18 gives them.
//
// What is damaged or unreadable on flash is a miss: the client asks elsewhere.
// delete, flush_all and md are the operator's.
//
// Thread safety: owned by one thread at a time; the cache and the stats are
// shared.
#pragma once

#include <atomic>
#include <optional>

#include "base/clock.h"
#include "cache/tiered_cache.h"
#include "zonecache/memcache_request.h"
#include "zonecache/node_stats.h"
#include "zonecache/output_queue.h"

namespace morsel {

inline constexpr std::string_view kNodeVersion = "1.6.18-morsel";

// What all connections of a node share. All of it outlives them.
struct NodeParts {
  NodeParts(TieredCache& c, NodeStats& s, Clock& k)
      : cache(c), stats(s), clock(k) {}

  TieredCache& cache;
  NodeStats& stats;
  Clock& clock;
  std::atomic<int64_t> flush_at{0};  // flush_all with a delay; 0: none
  uint32_t threads = 0;
};

class MemcacheCommands {
 public:
  MemcacheCommands(NodeParts& node, OutputQueue& out)
      : node_(node), out_(out) {}

  // Whether delete and flush_all are allowed.
  void SetOperator(bool is_operator) { is_operator_ = is_operator; }

  // One key of a retrieval. The end of it is told by EndGet.
  void Get(const Request& request, const std::string& key);
  void EndGet() { out_.AddText("END\r\n"); }
  // Any other request; `value` is empty if it has none. False: close.
  bool Execute(const Request& request, SharedBytes value);

 private:
  void Say(const Request& request, std::string_view text);
  std::optional<CacheValue> Find(const std::string& key);
  bool Denied(const Request& request);
  // flush_all with a delay whose time has come.
  void FlushIfDue();

  void Store(const Request& request, SharedBytes value);
  // Appends or prepends; the code as of TieredCache::Set.
  Result<uint64_t> Join(const std::string& key, ByteSpan more, bool in_front);
  void Touch(const Request& request);
  bool Reexpire(const std::string& key, const CacheValue& value,
                int64_t exptime);
  // The new number; kNotFound, kInvalid: the value is no number.
  struct Sum {
    uint64_t number = 0;
    uint64_t cas = 0;
    int64_t expires_unix = 0;
  };
  Result<Sum> Add(const std::string& key, uint64_t delta, bool subtract);
  void Arithmetic(const Request& request);
  void Delete(const Request& request);
  void FlushAll(const Request& request);
  void Stats(const Request& request);
  void Stat(std::string_view name, uint64_t value);
  void CacheStats();

  // The meta commands (memcache_meta.cc).
  void MetaGet(const Request& request);
  void MetaSet(const Request& request, SharedBytes value);
  void MetaDelete(const Request& request);
  void MetaArithmetic(const Request& request);
  void MetaDebug(const Request& request);
  // The flags that are returned, in the order in which they were asked.
  std::string MetaFlags(const Request& request, const CacheValue* value) const;
  int64_t TimeToLive(int64_t expires_unix) const;

  NodeParts& node_;
  OutputQueue& out_;
  bool is_operator_ = true;
};

}  // namespace morsel
