// SPDX-License-Identifier: Apache-2.0
// MemcacheSession: one connection of the memcached protocol without its
// socket: bytes come in, bytes go out.
//
// Everything is bounded: a line by 64 KiB, a value by 1 MiB, which lies in the
// cache's own memory from its first byte on and counts against its limit, and
// what is not sent yet by about 1 MiB and one value: until it is, no further
// request is executed, a retrieval of many keys rests in the middle, and
// nothing more is read.
//
// Thread safety: owned by one thread at a time.
#pragma once

#include <sys/uio.h>

#include <array>
#include <optional>
#include <span>
#include <string>

#include "cache/shared_bytes.h"
#include "zonecache/memcache_commands.h"

namespace morsel {

class MemcacheSession {
 public:
  static constexpr size_t kMaxLine = 64 * kKiB;
  static constexpr size_t kMaxUnsent = kMiB;

  explicit MemcacheSession(NodeParts& node)
      : node_(node), commands_(node, out_) {}
  MemcacheSession(const MemcacheSession&) = delete;
  MemcacheSession& operator=(const MemcacheSession&) = delete;

  void SetOperator(bool is_operator) { commands_.SetOperator(is_operator); }

  // Whether bytes are wanted: false while too much is unsent, and at the end.
  bool wants_input() const { return !closing_ && !is_full(); }
  // True when the connection is to be closed once everything is sent.
  bool closing() const { return closing_; }

  // Where the next bytes go, in this order; either may be empty.
  std::array<iovec, 2> Room();
  // `count` bytes were put there: executes what is whole.
  void Advance(size_t count);

  size_t unsent() const { return out_.byte_count(); }
  size_t Gather(std::span<iovec> parts) const { return out_.Gather(parts); }
  // So many bytes were sent: goes on with what had to rest.
  void Sent(size_t count);

 private:
  enum class Expect { kLine, kValue, kValueEnd, kSwallow };

  bool is_full() const { return out_.byte_count() >= kMaxUnsent; }
  void Run();
  // Each is one step; false: more bytes are needed.
  bool Step();
  bool StepGet();
  bool StepLine();
  bool StepValue();
  bool StepValueEnd();
  bool StepSwallow();
  void HandleLine(std::string_view line);
  void BeginValue();
  std::string_view Unread() const {
    return std::string_view(in_).substr(begin_, end_ - begin_);
  }

  NodeParts& node_;
  OutputQueue out_;
  MemcacheCommands commands_;
  bool closing_ = false;
  Expect expect_ = Expect::kLine;
  std::string in_;  // what came is in_[begin_, end_)
  size_t begin_ = 0;
  size_t end_ = 0;
  std::optional<Request> get_;  // a retrieval that is not at its end
  size_t next_key_ = 0;
  Request request_;  // the one whose value is coming
  ValueBuffer value_;
  size_t filled_ = 0;
  uint64_t swallow_ = 0;
};

}  // namespace morsel
