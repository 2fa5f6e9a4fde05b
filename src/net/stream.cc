// SPDX-License-Identifier: Apache-2.0
#include "net/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace morsel {
namespace {

class PlainStream final : public Stream {
 public:
  explicit PlainStream(Fd socket) : socket_(std::move(socket)) {}

  int fd() const override { return socket_.get(); }

  Result<size_t> Read(std::span<const iovec> parts) override {
    while (true) {
      const ssize_t count =
          readv(fd(), parts.data(), static_cast<int>(parts.size()));
      if (count > 0) return static_cast<size_t>(count);
      if (count == 0)
        return MakeError(Code::kUnavailable, "the other side has closed");
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Await(POLLIN);
      return Broken();
    }
  }

  Result<size_t> Write(std::span<const iovec> parts) override {
    msghdr header{};
    header.msg_iov = const_cast<iovec*>(parts.data());
    header.msg_iovlen = parts.size();
    while (true) {
      const ssize_t count = sendmsg(fd(), &header, MSG_NOSIGNAL);
      if (count >= 0) return static_cast<size_t>(count);
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return Await(POLLOUT);
      return Broken();
    }
  }

  short awaited() const override { return awaited_; }
  bool has_buffered() const override { return false; }
  std::string PeerName() const override { return {}; }

 private:
  size_t Await(short events) {
    awaited_ = events;
    return 0;
  }

  static Error Broken() {
    return MakeError(Code::kUnavailable, std::string("the connection broke: ") +
                                             std::strerror(errno));
  }

  const Fd socket_;
  short awaited_ = POLLIN;
};

}  // namespace

std::unique_ptr<Stream> MakePlainStream(Fd socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

}  // namespace morsel
