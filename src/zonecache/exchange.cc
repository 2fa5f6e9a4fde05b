// SPDX-License-Identifier: Apache-2.0
#include "zonecache/exchange.h"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace morsel {

Exchange::~Exchange() {
  for (Call& call : calls_) {
    NodeConnection& connection = *call.connection;
    if (call.touched && !call.request.empty()) {
      // Half a request: the rest would have to be sent some time.
      call.pool->Failed(std::move(call.connection),
                        MakeError(Code::kTimeout, "it takes no requests"));
      continue;
    }
    if (call.request.empty()) {
      if (connection.owed++ == 0) connection.since = call.begun;
    }
    call.pool->Return(std::move(call.connection));
  }
}

bool Exchange::Add(uint32_t place, NodePool& pool, std::vector<iovec> request) {
  std::unique_ptr<NodeConnection> connection = pool.Take();
  if (connection == nullptr) return false;
  Call call{place, &pool,       std::move(connection), std::move(request),
            false, clock_.Now()};
  if (Advance(call)) calls_.push_back(std::move(call));
  return true;
}

std::optional<Exchange::Outcome> Exchange::Next(Deadline deadline) {
  while (outcomes_.empty() && !calls_.empty()) {
    if (!Wait(deadline)) break;
  }
  return TakeOutcome();
}

std::optional<Exchange::Outcome> Exchange::NextArrived() {
  if (outcomes_.empty() && !calls_.empty()) Poll(0);
  return TakeOutcome();
}

std::optional<Exchange::Outcome> Exchange::TakeOutcome() {
  if (outcomes_.empty()) return std::nullopt;
  Outcome outcome = std::move(outcomes_.front());
  outcomes_.pop_front();
  return outcome;
}

bool Exchange::Wait(Deadline deadline) {
  using std::chrono::milliseconds;
  const auto left =
      std::chrono::ceil<milliseconds>(deadline - clock_.Now()).count();
  if (left <= 0) return false;
  Poll(static_cast<int>(std::min<int64_t>(left, 3'600'000)));
  return true;
}

void Exchange::Poll(int timeout_ms) {
  std::vector<pollfd> entries;
  entries.reserve(calls_.size());
  for (const Call& call : calls_) {
    const Stream& stream = *call.connection->stream;
    const bool connecting = !call.connection->connected;
    entries.push_back(
        {stream.fd(), connecting ? short{POLLOUT} : stream.awaited(), 0});
  }
  if (poll(entries.data(), entries.size(), timeout_ms) <= 0) return;
  std::vector<Call> going;
  going.reserve(calls_.size());
  for (size_t i = 0; i < calls_.size(); ++i)
    if (entries[i].revents == 0 || Advance(calls_[i]))
      going.push_back(std::move(calls_[i]));
  calls_ = std::move(going);
}

bool Exchange::Advance(Call& call) {
  if (Status connected = Connect(call); !connected.ok())
    return Fail(call, connected.error());
  if (!call.connection->connected) return true;
  if (Status sent = Send(call); !sent.ok()) return Fail(call, sent.error());
  if (!call.request.empty()) return true;
  Result<std::optional<Reply>> reply = Receive(call);
  if (!reply.ok()) return Fail(call, reply.error());
  if (!reply->has_value()) return true;
  call.pool->Answered();
  call.pool->Return(std::move(call.connection));
  outcomes_.push_back({call.place, std::move(**reply)});
  return false;
}

Status Exchange::Connect(Call& call) {
  NodeConnection& connection = *call.connection;
  if (connection.connected) return Ok();
  pollfd entry{connection.stream->fd(), POLLOUT, 0};
  if (poll(&entry, 1, 0) != 1) return Ok();
  RETURN_IF_ERROR(ConnectError(connection.stream->fd()));
  connection.connected = true;
  return Ok();
}

Status Exchange::Send(Call& call) {
  std::vector<iovec>& parts = call.request;
  while (!parts.empty()) {
    ASSIGN_OR_RETURN(size_t count, call.connection->stream->Write(parts));
    if (count == 0) return Ok();
    call.touched = true;
    size_t whole = 0;
    while (whole < parts.size() && count >= parts[whole].iov_len)
      count -= parts[whole++].iov_len;
    parts.erase(parts.begin(), parts.begin() + static_cast<ptrdiff_t>(whole));
    if (parts.empty()) break;
    parts[0].iov_base = static_cast<char*>(parts[0].iov_base) + count;
    parts[0].iov_len -= count;
  }
  return Ok();
}

Result<std::optional<Reply>> Exchange::Receive(Call& call) {
  NodeConnection& connection = *call.connection;
  while (true) {
    if (std::optional<Reply> reply = connection.reader.Take()) return reply;
    ASSIGN_OR_RETURN(const size_t count,
                     connection.stream->Read(connection.reader.Room()));
    if (count == 0) return std::optional<Reply>();
    RETURN_IF_ERROR(connection.reader.Advance(count));
  }
}

bool Exchange::Fail(Call& call, const Error& error) {
  call.pool->Failed(std::move(call.connection), error);
  outcomes_.push_back({call.place, error});
  return false;
}

}  // namespace morsel
