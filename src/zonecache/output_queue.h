// SPDX-License-Identifier: Apache-2.0
// OutputQueue: what a connection has yet to send, text and values in their
// order. Values are shared with the cache, not copied.
//
// Thread safety: owned by one thread at a time.
#pragma once

#include <sys/uio.h>

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "cache/shared_bytes.h"

namespace morsel {

class OutputQueue {
 public:
  void AddText(std::string_view text);
  void AddValue(SharedBytes value);

  size_t byte_count() const { return byte_count_; }
  // The first parts of what is to be sent; how many.
  size_t Gather(std::span<iovec> parts) const;
  // So many bytes were sent.
  void Sent(size_t count);

 private:
  using Segment = std::variant<std::string, SharedBytes>;

  std::deque<Segment> segments_;
  size_t sent_ = 0;  // of the first segment
  size_t byte_count_ = 0;
};

}  // namespace morsel
