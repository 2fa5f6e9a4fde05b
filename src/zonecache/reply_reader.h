// SPDX-License-Identifier: Apache-2.0
// ReplyReader: the answers of a memcached server to `gets` of one key and to
// storage commands (memcached's doc/protocol.txt), as they arrive.
//
// A value is read straight into its place. Everything is bounded: a line by
// 512 bytes, a value by 1 MiB.
//
// Thread safety: owned by one thread.
#pragma once

#include <sys/uio.h>

#include <array>
#include <deque>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace morsel {

struct Reply {
  enum class Kind {
    kValue,
    kMiss,       // END
    kStored,     // STORED
    kNotStored,  // NOT_STORED: `add` found one
    kExists,     // EXISTS: `cas` came too late
    kNotFound,   // NOT_FOUND: `cas` found none
    kError,      // the server refuses: `text` says why
  };
  Kind kind = Kind::kMiss;
  Bytes value;
  uint64_t cas = 0;
  std::string text;
};

class ReplyReader {
 public:
  static constexpr size_t kMaxValue = kMiB;

  // Where the next bytes go.
  std::array<iovec, 2> Room();
  // `count` bytes were put there. kCorrupt: that is no memcached server;
  // nothing more can be read.
  Status Advance(size_t count);
  // The next whole reply.
  std::optional<Reply> Take();

 private:
  enum class Expect { kLine, kValue, kTrailer };

  // True if it got a step further.
  Result<bool> Step();
  Result<bool> StepLine();
  bool StepValue();
  Result<bool> StepTrailer();
  Status HandleLine(std::string_view line);
  Status HandleValueLine(std::string_view line);
  void Consume(size_t count);

  Expect expect_ = Expect::kLine;
  std::array<char, 4096> buffer_;
  size_t begin_ = 0;  // what is not consumed yet: buffer_[begin_, end_)
  size_t end_ = 0;
  Reply current_;
  size_t filled_ = 0;  // of current_.value
  std::deque<Reply> replies_;
};

}  // namespace morsel
