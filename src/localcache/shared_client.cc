// SPDX-License-Identifier: Apache-2.0
#include "localcache/shared_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "net/unix_socket.h"

namespace morsel {
namespace {

Result<Fd> Connect(const std::string& path) {
  auto socket = ConnectToPath(path);
  if (socket.ok()) return socket;
  Error error = std::move(socket).error();
  // That it is not there at all says the same to who asks.
  if (error.code == Code::kNotFound) error.code = Code::kUnavailable;
  return std::move(error).Wrap(
      "the shared local cache (local_cache.socket): start morsel-localcache");
}

// Sends one message and gives the answer, which `buffer` holds, and the
// descriptors that it carries.
Result<DaemonMessage> Exchange(const Fd& socket, const Bytes& packet,
                               Bytes& buffer, Deadline deadline,
                               std::vector<Fd>& fds) {
  RETURN_IF_ERROR_AS(SendMessage(socket.get(), packet, {}, deadline),
                     "local cache");
  ASSIGN_OR_RETURN_AS(ReceivedMessage message,
                      ReceiveMessage(socket.get(), buffer, deadline),
                      "local cache");
  fds = std::move(message.fds);
  return ParseDaemonMessage(ByteSpan(buffer).first(message.byte_count));
}

Error OtherVersion() {
  return MakeError(Code::kInvalid,
                   "local cache: the daemon speaks another version of the "
                   "protocol; restart it");
}

// The process at the other end. The socket is looked at after the open: while
// it is not hung up, the pid cannot have come to mean another.
Status FindDaemon(AdmittedConnection& connection) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  const int fd = connection.socket.get();
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
    return ErrnoError(errno, "local cache: who is it");
  connection.daemon = peer.pid;
  connection.pidfd = Fd(static_cast<int>(syscall(SYS_pidfd_open, peer.pid, 0)));
  pollfd polled{fd, 0, 0};
  if (!connection.pidfd || poll(&polled, 1, 0) != 0)
    return MakeError(Code::kUnavailable, "local cache: the daemon is gone");
  return Ok();
}

}  // namespace

Result<AdmittedConnection> AskForAdmission(const std::string& path,
                                           const AdmitMessage& message,
                                           Deadline deadline) {
  AdmittedConnection connection;
  ASSIGN_OR_RETURN(connection.socket, Connect(path));
  Bytes buffer(kMaxPacket);
  std::vector<Fd> fds;
  ASSIGN_OR_RETURN(
      const DaemonMessage answer,
      Exchange(connection.socket, Encode(message), buffer, deadline, fds));
  const auto* verdict = std::get_if<VerdictMessage>(&answer);
  if (verdict == nullptr || verdict->version != kLocalCacheVersion)
    return OtherVersion();
  if (verdict->error.has_value()) return *verdict->error;
  if (fds.size() == 1) connection.arena = std::move(fds[0]);
  RETURN_IF_ERROR(FindDaemon(connection));
  return connection;
}

Result<Json> AskForReport(const std::string& path, Deadline deadline) {
  ASSIGN_OR_RETURN(const Fd socket, Connect(path));
  return AskForReport(socket, deadline);
}

Result<Json> AskForReport(const Fd& socket, Deadline deadline) {
  Bytes buffer(kMaxPacket);
  std::vector<Fd> none;
  ASSIGN_OR_RETURN(
      const DaemonMessage answer,
      Exchange(socket, Encode(StatMessage{}), buffer, deadline, none));
  const auto* report = std::get_if<ReportMessage>(&answer);
  if (report == nullptr || report->version != kLocalCacheVersion)
    return OtherVersion();
  return Json::Parse(report->json);
}

}  // namespace morsel
