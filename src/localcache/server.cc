// SPDX-License-Identifier: Apache-2.0
#include "localcache/server.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>

#include "base/log.h"
#include "localcache/client_link.h"
#include "localcache/fetch_pipeline.h"
#include "localcache/protocol.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

// Tags of epoll events; clients count from kFirstClient on.
constexpr uint64_t kStopTag = 0;
constexpr uint64_t kControlTag = 1;
constexpr uint64_t kFirstClient = 2;
// A busy client gives way to the others after so many messages.
constexpr int kMessagesPerTurn = 16;
// Rings are drained once in so many requests; each client counts for so many
// hits a drain at most.
constexpr uint64_t kRequestsPerDrain = 16;
constexpr uint32_t kHitsPerDrain = 1024;

using Link = std::shared_ptr<ClientLink>;

void SendInline(ClientLink& link, uint64_t id, const Bytes& bytes) {
  const ByteSpan all(bytes);
  for (size_t at = 0; at < all.size(); at += kPartBytes)
    link.Send(Encode(PartMessage{
        id, static_cast<uint32_t>(at),
        all.subspan(at, std::min<size_t>(kPartBytes, all.size() - at))}));
}

void SendAnswer(ClientLink& link, uint64_t id, bool owned,
                const FetchAnswer& answer) {
  DoneMessage done{id, std::nullopt, false};
  if (!answer.status.ok()) {
    done.error = answer.status.error();
  } else if (owned || !answer.in_arena) {
    SendInline(link, id, *answer.bytes);
    done.is_inline = true;
  }
  link.Send(Encode(done));
  --link.pending;
}

class Server final : public LocalCacheServer {
 public:
  Server(const ServerOptions& options, ArenaWriter& arena, ChunkSource& origin,
         Clock& clock, Fd control)
      : options_(options),
        arena_(arena),
        clock_(clock),
        control_(std::move(control)),
        pipeline_(options.origin_requests, options.origin_verifies, arena,
                  origin, clock) {}

  Status Begin(std::vector<Fd> clients) {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    stop_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!epoll_ || !stop_) return ErrnoError(errno, "local cache: epoll");
    RETURN_IF_ERROR(Watch(stop_.get(), kStopTag));
    if (control_) RETURN_IF_ERROR(Watch(control_.get(), kControlTag));
    for (Fd& client : clients) RETURN_IF_ERROR(AddClient(std::move(client)));
    return Ok();
  }

  Status Run() override {
    std::array<epoll_event, 64> events;
    bool go_on = control_ || !clients_.empty();
    while (go_on) {
      const int count =
          epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      if (count < 0 && errno != EINTR)
        return ErrnoError(errno, "local cache: epoll_wait");
      for (int i = 0; i < count && go_on; ++i) go_on = HandleEvent(events[i]);
      go_on = go_on && (control_ || !clients_.empty());
    }
    pipeline_.Drain();
    return Ok();
  }

  void Stop() override {
    const uint64_t one = 1;
    // A signal handler may be here: nothing but write(2), and a full counter
    // means that the stop is on its way.
    [[maybe_unused]] const ssize_t count =
        write(stop_.get(), &one, sizeof(one));
  }

  ServerStats Stats() const override {
    const FetchStats fetch = pipeline_.Stats();
    return {requests_,           fetch.origin_gets,
            fetch.origin_bytes,  fetch.corrupt_chunks,
            fetch.dropped_slots, bad_messages_};
  }

 private:
  Status Watch(int fd, uint64_t tag) {
    epoll_event event{EPOLLIN, {.u64 = tag}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return ErrnoError(errno, "local cache: watch a socket");
    return Ok();
  }

  Status AddClient(Fd socket) {
    const uint64_t id = next_client_++;
    const int fd = socket.get();
    auto link = std::make_shared<ClientLink>(
        id, std::move(socket), options_.unread_bytes_per_client,
        [this](const ClientLink& blocked) { WaitForRoom(blocked, true); });
    RETURN_IF_ERROR(Watch(fd, id));
    clients_.emplace(id, std::move(link));
    return Ok();
  }

  void WaitForRoom(const ClientLink& link, bool wait) {
    epoll_event event{EPOLLIN | (wait ? uint32_t{EPOLLOUT} : 0),
                      {.u64 = link.id()}};
    // It fails only for a client that was removed.
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, link.socket(), &event);
  }

  // False: stop.
  bool HandleEvent(const epoll_event& event) {
    if (event.data.u64 == kStopTag) return false;
    if (event.data.u64 == kControlTag) return HandleControl();
    const auto it = clients_.find(event.data.u64);
    if (it == clients_.end()) return true;
    const Link link = it->second;
    if ((event.events & EPOLLOUT) != 0 && link->Flush())
      WaitForRoom(*link, false);
    if ((event.events & ~uint32_t{EPOLLOUT}) != 0 && !HandleMessages(link))
      RemoveClient(link);
    return true;
  }

  bool HandleControl() {
    std::array<std::byte, 8> buffer;
    auto message = TryReceiveMessage(control_.get(), buffer);
    if (!message.ok()) {
      if (message.error().code == Code::kUnavailable) return false;
      LogWarn("local cache: bad message on the control socket",
              {{"error", message.error().message}});
      return true;
    }
    if (!message->has_value()) return true;
    for (Fd& client : (*message)->fds)
      if (const Status added = AddClient(std::move(client)); !added.ok())
        LogWarn("local cache: client refused",
                {{"error", added.error().message}});
    return true;
  }

  void RemoveClient(const Link& link) {
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, link->socket(), nullptr);
    link->Close();
    clients_.erase(link->id());
  }

  // False: the client is gone, or is to be cut off.
  bool HandleMessages(const Link& link) {
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      auto message = TryReceiveMessage(link->socket(), packet_);
      if (message.ok() && !message->has_value()) return true;
      if (!message.ok() && message.error().code == Code::kUnavailable)
        return false;
      Status handled =
          message.ok()
              ? HandlePacket(link,
                             ByteSpan(packet_).first((*message)->byte_count))
              : Status(std::move(message).error());
      if (handled.ok()) continue;
      ++bad_messages_;
      LogWarn("local cache client closed",
              {{"client", link->id()}, {"error", handled.error().message}});
      return false;
    }
    return true;
  }

  Status HandlePacket(const Link& link, ByteSpan packet) {
    ASSIGN_OR_RETURN(ClientMessage message, ParseClientMessage(packet));
    if (auto* get = std::get_if<GetMessage>(&message)) {
      if (!link->welcomed())
        return MakeError(Code::kInvalid, "local cache protocol: no greeting");
      HandleGet(link, std::move(*get));
      return Ok();
    }
    if (link->welcomed())
      return MakeError(Code::kInvalid, "local cache protocol: greeted twice");
    if (std::get<HelloMessage>(message).version != kLocalCacheVersion) {
      link->Send(Encode(WelcomeMessage{}));  // without the descriptors
      return MakeError(Code::kInvalid,
                       "local cache protocol: the client is of another "
                       "version; restart it or the local cache");
    }
    return link->Welcome(arena_.reader_fd());
  }

  void HandleGet(const Link& link, GetMessage get) {
    if (++requests_ % kRequestsPerDrain == 0) DrainRings();
    const uint64_t id = get.id;
    const bool owned = get.owned;
    if (++link->pending > options_.requests_per_client) {
      SendAnswer(*link, id, owned,
                 {MakeError(Code::kExhausted,
                            "local cache: too many requests of one client")});
      return;
    }
    const Deadline deadline =
        clock_.Now() + std::chrono::milliseconds(get.deadline_ms);
    pipeline_.Submit(
        {std::move(get.ref), get.urgency, deadline, owned, get.suspect},
        [link, id, owned](const FetchAnswer& answer) {
          SendAnswer(*link, id, owned, answer);
        });
  }

  void DrainRings() {
    for (const auto& [id, link] : clients_)
      if (link->welcomed())
        for (const uint32_t slot : link->ring().Drain(kHitsPerDrain))
          arena_.Touch(slot);
  }

  const ServerOptions options_;
  ArenaWriter& arena_;
  Clock& clock_;
  const Fd control_;
  Fd epoll_;
  Fd stop_;
  uint64_t next_client_ = kFirstClient;
  std::unordered_map<uint64_t, Link> clients_;
  Bytes packet_ = Bytes(kMaxPacket);
  std::atomic<uint64_t> requests_{0};
  std::atomic<uint64_t> bad_messages_{0};
  // Last, as its threads use the rest.
  FetchPipeline pipeline_;
};

}  // namespace

Result<Fd> MakeArenaFile() {
  Fd file(memfd_create("morsel-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return ErrnoError(errno, "make a memory file for the arena");
  return file;
}

Status SendNewClient(int control, const Fd& client) {
  const std::array<int, 1> fds{client.get()};
  const std::array<std::byte, 1> packet{std::byte{1}};
  // The daemon reads this socket at once or not at all.
  return SendMessage(control, packet, fds,
                     SystemClock().Now() + std::chrono::seconds(10));
}

Result<std::unique_ptr<LocalCacheServer>> LocalCacheServer::Make(
    const ServerOptions& options, ArenaWriter& arena, ChunkSource& origin,
    Clock& clock, Fd control, std::vector<Fd> clients) {
  auto server = std::make_unique<Server>(options, arena, origin, clock,
                                         std::move(control));
  RETURN_IF_ERROR(server->Begin(std::move(clients)));
  return std::unique_ptr<LocalCacheServer>(std::move(server));
}

}  // namespace morsel
