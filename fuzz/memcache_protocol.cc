// SPDX-License-Identifier: Apache-2.0
// Any bytes as a connection to a node, cut anywhere, and as the answers of one.
// Sessions must stay within their bounds and come to an end.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "zonecache/memcache_session.h"
#include "zonecache/reply_reader.h"

namespace morsel {
namespace {

struct Node {
  std::unique_ptr<TieredCache> cache =
      TieredCache::Make({.memory = {.max_bytes = 8 * kMiB}}, SystemClock())
          .value();
  NodeStats stats;
  NodeParts parts{*cache, stats, SystemClock()};
};

// Puts up to `limit` bytes of `input` into the rooms; how many.
size_t Fill(const std::array<iovec, 2>& rooms, ByteSpan& input, size_t limit) {
  size_t given = 0;
  for (const iovec& room : rooms) {
    const size_t count = std::min({room.iov_len, input.size(), limit - given});
    if (count > 0) std::memcpy(room.iov_base, input.data(), count);
    input = input.subspan(count);
    given += count;
  }
  return given;
}

void Drain(MemcacheSession& session) {
  while (session.unsent() > 0) {
    CHECK(session.unsent() <= MemcacheSession::kMaxUnsent + 2 * kMiB);
    std::array<iovec, 4> parts;
    const size_t count = session.Gather(parts);
    CHECK(count > 0);
    size_t bytes = 0;
    for (size_t i = 0; i < count; ++i) bytes += parts[i].iov_len;
    session.Sent(bytes);
  }
}

void FuzzServer(ByteSpan input, size_t piece) {
  static Node* const node = std::make_unique<Node>().release();
  MemcacheSession session(node->parts);
  while (!input.empty() && session.wants_input()) {
    session.Advance(Fill(session.Room(), input, piece));
    Drain(session);
  }
}

void FuzzClient(ByteSpan input, size_t piece) {
  ReplyReader reader;
  while (!input.empty()) {
    if (!reader.Advance(Fill(reader.Room(), input, piece)).ok()) return;
    while (const auto reply = reader.Take())
      CHECK(reply->value.size() <= ReplyReader::kMaxValue);
  }
}

}  // namespace
}  // namespace morsel

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t piece = 1 + data[0] % 128;
  const auto input = std::as_bytes(std::span(data + 1, size - 1));
  morsel::FuzzServer(input, piece);
  morsel::FuzzClient(input, piece);
  return 0;
}
