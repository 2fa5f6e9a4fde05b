// SPDX-License-Identifier: Apache-2.0
#include "localcache/server.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <unordered_map>

#include "base/log.h"
#include "localcache/client_link.h"
#include "localcache/protocol.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

// Tags of epoll events; clients count from kFirstClient on.
constexpr uint64_t kStopTag = 0;
constexpr uint64_t kControlTag = 1;
constexpr uint64_t kListenerTag = 2;
constexpr uint64_t kFirstClient = 3;
// A busy client gives way to the others after so many messages.
constexpr int kMessagesPerTurn = 16;
// Rings are drained once in so many requests, and when nobody asked for so
// long; each client counts for so many hits a drain at most.
constexpr uint64_t kRequestsPerDrain = 16;
constexpr int kDrainMilliseconds = 1000;
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
  Server(const ServerOptions& options, const FetchTiers& tiers,
         ArenaWriter& arena, LocalCacheMetrics& metrics, Clock& clock,
         ServerEndpoints& endpoints)
      : options_(options),
        arena_(arena),
        metrics_(metrics),
        clock_(clock),
        control_(std::move(endpoints.control)),
        listener_(std::move(endpoints.listener)),
        manifest_id_(std::move(endpoints.manifest_id)),
        root_(std::move(endpoints.root)),
        leases_(tiers.leases),
        prefetch_limit_(arena.Stats().limit_bytes / 2),
        max_starting_(options.max_starting),
        pipeline_(options.fetch, tiers, arena, metrics, clock) {}

  Status Begin(std::vector<Fd> clients) {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    stop_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!epoll_ || !stop_) return ErrnoError(errno, "local cache: epoll");
    RETURN_IF_ERROR(Watch(stop_.get(), kStopTag));
    if (control_) RETURN_IF_ERROR(Watch(control_.get(), kControlTag));
    if (listener_) RETURN_IF_ERROR(Watch(listener_.get(), kListenerTag));
    for (Fd& client : clients)
      RETURN_IF_ERROR(AddPrivateClient(std::move(client)));
    return Ok();
  }

  Status Run() override {
    std::array<epoll_event, 64> events;
    while (HasUse()) {
      const int count = epoll_wait(epoll_.get(), events.data(), events.size(),
                                   clients_.empty() ? -1 : kDrainMilliseconds);
      if (count < 0 && errno != EINTR)
        return ErrnoError(errno, "local cache: epoll_wait");
      if (count == 0) DrainRings();
      for (int i = 0; i < count && !stopped_; ++i)
        stopped_ = !HandleEvent(events[static_cast<size_t>(i)]);
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

  bool IsPrefetching() const override { return pipeline_.IsPrefetching(); }

  void SetMaxStarting(uint32_t max_starting) override {
    max_starting_ = max_starting;
  }

 private:
  bool HasUse() const {
    return !stopped_ && (control_ || listener_ || !clients_.empty());
  }

  // Whoever comes by the control socket is the guard's own: nobody to share
  // the origin's slots with.
  Status AddPrivateClient(Fd socket) {
    ASSIGN_OR_RETURN(const Link link, AddClient(std::move(socket)));
    Admit(*link, {"", clock_.Now() - kStartingTime, manifest_id_}, root_);
    return Ok();
  }

  // `root`: where the image was when the device was attached.
  void Admit(ClientLink& link, ClientLink::Device device,
             const std::string& root) {
    if (leases_ != nullptr && !device.manifest_id.empty())
      leases_->Attach(device.manifest_id, root);
    link.Admit(std::move(device));
  }

  Status Watch(int fd, uint64_t tag) {
    epoll_event event{EPOLLIN, {.u64 = tag}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
      return ErrnoError(errno, "local cache: watch a socket");
    return Ok();
  }

  Result<Link> AddClient(Fd socket) {
    const uint64_t id = next_client_++;
    const int fd = socket.get();
    auto link = std::make_shared<ClientLink>(
        id, std::move(socket), options_.unread_bytes_per_client,
        [this](const ClientLink& blocked) { WaitForRoom(blocked, true); });
    RETURN_IF_ERROR(Watch(fd, id));
    clients_.emplace(id, link);
    return link;
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
    if (event.data.u64 == kListenerTag) {
      AcceptClients();
      return true;
    }
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
      if (const Status added = AddPrivateClient(std::move(client)); !added.ok())
        LogWarn("local cache: client refused",
                {{"error", added.error().message}});
    return true;
  }

  void AcceptClients() {
    while (true) {
      auto socket = TryAccept(listener_.get());
      if (socket.ok() && !socket->has_value()) return;
      const Result<Link> added = socket.ok() ? AddClient(std::move(**socket))
                                             : std::move(socket).error();
      if (added.ok()) continue;
      // It comes again with the next event: out of descriptors, mostly.
      LogWarn("local cache: client refused",
              {{"error", added.error().message}});
      return;
    }
  }

  void RemoveClient(const Link& link) {
    (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, link->socket(), nullptr);
    link->Close();
    clients_.erase(link->id());
    if (leases_ != nullptr && link->admitted() &&
        !link->device().manifest_id.empty())
      leases_->Detach(link->device().manifest_id);
    (void)CountStarting();
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
      metrics_.bad_messages.Add();
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
    if (const auto* hello = std::get_if<HelloMessage>(&message))
      return HandleHello(*link, *hello);
    if (std::holds_alternative<StatMessage>(message)) {
      link->Send(Encode(ReportMessage{kLocalCacheVersion, Report()}));
      return Ok();
    }
    if (link->admitted())
      return MakeError(Code::kInvalid, "local cache protocol: admitted twice");
    return HandleAdmit(*link, std::get<AdmitMessage>(std::move(message)));
  }

  Status HandleHello(ClientLink& link, const HelloMessage& hello) {
    if (!link.admitted())
      return MakeError(Code::kInvalid, "local cache protocol: not admitted");
    if (hello.version == kLocalCacheVersion)
      return link.Welcome(arena_.reader_fd());
    link.Send(Encode(WelcomeMessage{}));  // without the descriptors
    return OtherVersion();
  }

  static Error OtherVersion() {
    return MakeError(Code::kInvalid,
                     "local cache protocol: the client is of another version; "
                     "restart it or the local cache");
  }

  // Who is refused may stay connected; it is its guard that ends.
  Status HandleAdmit(ClientLink& link, AdmitMessage admit) {
    if (admit.version != kLocalCacheVersion) {
      link.Send(Encode(VerdictMessage{kLocalCacheVersion, OtherVersion()}));
      return OtherVersion();
    }
    VerdictMessage verdict;
    const uint32_t starting = CountStarting();
    const uint32_t limit = max_starting_;
    if (admit.starting && limit != 0 && starting >= limit) {
      metrics_.refused.Add();
      LogWarn(
          "start refused",
          {{"device", admit.device}, {"starting", starting}, {"limit", limit}});
      verdict.error = MakeError(
          Code::kExhausted,
          "refused for load: " + std::to_string(starting) +
              " devices are starting on this worker already; try again "
              "later, or raise local_cache.max_starting");
      link.Send(Encode(verdict));
      return Ok();
    }
    Admit(link,
          {std::move(admit.device),
           clock_.Now() - std::chrono::milliseconds(admit.age_ms),
           std::move(admit.manifest_id)},
          admit.root);
    (void)CountStarting();
    return link.SendVerdict(verdict, arena_.reader_fd());
  }

  // Devices, not connections: one that has lost its child has two for a while.
  uint32_t CountStarting() {
    std::set<std::string_view> devices;
    int64_t admitted = 0;
    const auto now = clock_.Now();
    for (const auto& [id, link] : clients_) {
      if (!link->admitted()) continue;
      ++admitted;
      if (now - link->device().attached < kStartingTime)
        devices.insert(link->device().name);
    }
    metrics_.clients.Set(admitted);
    metrics_.starting.Set(static_cast<int64_t>(devices.size()));
    return static_cast<uint32_t>(devices.size());
  }

  std::string Report() {
    DrainRings();
    (void)CountStarting();
    metrics_.all.Collect();
    Json report = metrics_.ToJson();
    if (options_.add_to_report) options_.add_to_report(report);
    return report.Dump();
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
    const bool ahead = get.urgency == Urgency::kPrefetch;
    if (ahead && !HasRoomAhead(*link, get.ref)) {
      SendAnswer(*link, id, owned,
                 {MakeError(Code::kExhausted,
                            "local cache: one client prefetches no more than "
                            "half of it")});
      return;
    }
    const std::string& manifest_id = link->device().manifest_id;
    if (leases_ != nullptr && !manifest_id.empty())
      get.ref.root =
          leases_->RootOf(manifest_id).value_or(std::move(get.ref.root));
    const auto now = clock_.Now();
    const Deadline deadline = now + std::chrono::milliseconds(get.deadline_ms);
    pipeline_.Submit({std::move(get.ref), manifest_id, get.urgency, deadline,
                      owned, get.suspect, link->device().attached,
                      [link] { return !link->is_closed(); }},
                     [this, link, id, owned, now](const FetchAnswer& answer) {
                       metrics_.wait_seconds.Observe(clock_.Now() - now);
                       SendAnswer(*link, id, owned, answer);
                     });
  }

  // What is prefetched pushes out no more than half of what others have. A
  // chunk takes whole pieces.
  bool HasRoomAhead(ClientLink& link, const ChunkRef& ref) const {
    link.prefetched_bytes += RoundUp(ref.stored_length, ChunkView::kPieceSize);
    return link.prefetched_bytes <= prefetch_limit_;
  }

  void DrainRings() {
    for (const auto& [id, link] : clients_) {
      if (!link->welcomed()) continue;
      arena_.Touch(link->ring().Drain(kHitsPerDrain));
      metrics_.arena.hits.Add(link->ring().last_count());
    }
  }

  const ServerOptions options_;
  ArenaWriter& arena_;
  LocalCacheMetrics& metrics_;
  Clock& clock_;
  const Fd control_;
  const Fd listener_;
  const std::string manifest_id_;
  const std::string root_;
  LeaseKeeper* const leases_;
  const uint64_t prefetch_limit_;  // bytes of one client's
  Fd epoll_;
  Fd stop_;
  uint64_t next_client_ = kFirstClient;
  std::unordered_map<uint64_t, Link> clients_;
  Bytes packet_ = Bytes(kMaxPacket);
  uint64_t requests_ = 0;
  bool stopped_ = false;
  std::atomic<uint32_t> max_starting_;
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
    const ServerOptions& options, const FetchTiers& tiers, ArenaWriter& arena,
    LocalCacheMetrics& metrics, Clock& clock, ServerEndpoints endpoints) {
  auto server = std::make_unique<Server>(options, tiers, arena, metrics, clock,
                                         endpoints);
  RETURN_IF_ERROR(server->Begin(std::move(endpoints.clients)));
  return std::unique_ptr<LocalCacheServer>(std::move(server));
}

}  // namespace morsel
