// SPDX-License-Identifier: Apache-2.0
// The command lines of the memcached protocol, text and meta (memcached's
// doc/protocol.txt, version 1.6.18), as a server reads them. Pure.
//
// Of the meta commands it knows the flags c f k O q s t v T (mg), c C F k O q T
// M (ms), C k O q (md) and c C D k M O q t T v (ma). A flag for what this
// server does not keep (access times, stale and vivified values, base64 keys)
// gets "CLIENT_ERROR invalid flag".
//
// Thread safety: free functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"

namespace morsel {

inline constexpr size_t kMaxMemcacheKey = 250;
inline constexpr uint64_t kMaxMemcacheValue = kMiB;

enum class Verb {
  kGet,
  kGets,
  kGat,
  kGats,
  kSet,
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kCas,
  kDelete,
  kIncr,
  kDecr,
  kTouch,
  kFlushAll,
  kVersion,
  kVerbosity,
  kStats,
  kQuit,
  kMetaGet,
  kMetaSet,
  kMetaDelete,
  kMetaArithmetic,
  kMetaNoop,
  kMetaDebug,
};

struct MetaFlag {
  char flag = 0;
  std::string token;  // what stands behind it
};

struct Request {
  Verb verb = Verb::kVersion;
  std::vector<std::string> keys;  // one or more where the verb has any
  uint32_t flags = 0;
  int64_t exptime = 0;  // as in the protocol: 0, seconds, or a time
  uint64_t number = 0;  // cas token, or what is added or subtracted
  bool no_reply = false;
  bool has_value = false;
  uint64_t value_bytes = 0;  // of the value that follows the line
  std::vector<MetaFlag> meta;
};

struct BadLine {
  std::string answer;    // with its end of line
  uint64_t swallow = 0;  // bytes that follow and belong to it
};

// `line` is without its end.
std::variant<Request, BadLine> ParseRequestLine(std::string_view line);

// Absolute seconds since 1970 from the protocol's exptime: 0 stays (never),
// negative is over already, up to 30 days counts from now.
int64_t ExpiryOf(int64_t exptime, int64_t now_unix);

}  // namespace morsel
