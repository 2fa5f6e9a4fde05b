// SPDX-License-Identifier: Apache-2.0
// Unix sockets that keep messages apart (SOCK_SEQPACKET) and carry descriptors
// (SCM_RIGHTS, unix(7)).
//
// The descriptors that arrive are close-on-exec and owned. An empty message
// cannot be told from the end, so nobody sends one. No SIGPIPE is raised.
//
// Thread safety: thread-safe, as messages are whole.
// Errors of every function: kUnavailable (the other side is gone), kTimeout
// (the deadline passed), kIo.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace morsel {

// The most descriptors in one message.
inline constexpr size_t kMaxFdsPerMessage = 4;

struct ReceivedMessage {
  size_t byte_count = 0;
  std::vector<Fd> fds;
};

Result<std::pair<Fd, Fd>> MakeSocketPair();

// A socket that listens at `path`, with `mode` and, if `gid` is not 0, that
// group. What an ended process left there is replaced: the caller holds a lock
// that says there is no live one. kInvalid: the path is too long; kDenied.
Result<Fd> ListenAtPath(const std::string& path, mode_t mode, gid_t gid);
// The next connection, if there is one.
Result<std::optional<Fd>> TryAccept(int listener);
// kNotFound: nothing is at `path`; kUnavailable: nobody listens there, or too
// many wait; kInvalid, kDenied.
Result<Fd> ConnectToPath(const std::string& path);

// Requires: bytes not empty, fds.size() <= kMaxFdsPerMessage.
Status SendMessage(int socket, ByteSpan bytes, std::span<const int> fds,
                   Deadline deadline);
// Sends now or not at all: false if there is no room.
Result<bool> TrySendMessage(int socket, ByteSpan bytes,
                            std::span<const int> fds);

// Fills `buffer` with the next message. kInvalid: the message was longer than
// the buffer or carried too many descriptors; it is lost.
Result<ReceivedMessage> ReceiveMessage(int socket, MutableByteSpan buffer,
                                       Deadline deadline);
// Receives now: no value if there is no message.
Result<std::optional<ReceivedMessage>> TryReceiveMessage(
    int socket, MutableByteSpan buffer);

}  // namespace morsel
