// SPDX-License-Identifier: Apache-2.0
#include "localcache/source.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <iterator>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/mutex.h"
#include "localcache/arena_reader.h"
#include "localcache/protocol.h"
#include "localcache/ring.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

using std::chrono::milliseconds;

constexpr auto kHandshakeTime = std::chrono::seconds(10);
// A tier that failed to answer is asked again so often, no more.
constexpr auto kAskAgain = milliseconds(500);
constexpr auto kLogAfter = std::chrono::seconds(5);
// After so many views that were gone at once, the bytes themselves are sent.
constexpr int kTriesBeforeOwned = 3;
// Prefetches in flight, at most, and how long one may take.
constexpr size_t kPrefetchesAtOnce = 64;
constexpr uint32_t kPrefetchMs = 60'000;

// Errors that more time may heal.
bool MayHeal(Code code) {
  return code == Code::kUnavailable || code == Code::kExhausted ||
         code == Code::kTimeout;
}

// A miss that waits: on the stack of who waits.
struct Waiter {
  ChunkName name;
  uint32_t expected = 0;  // bytes of an answer in line
  bool loads = false;     // nobody else had asked for it when this did
  Bytes bytes;
  bool done = false;
  bool is_inline = false;
  std::optional<Error> error;
};

// What comes over the socket has no CRC and no generation, so it is hashed.
Result<ChunkView> OwnedView(const ChunkRef& ref, Bytes bytes) {
  if (!ref.name.Matches(bytes))
    return MakeError(Code::kCorrupt, "chunk " + ref.name.ToString() +
                                         ": the local cache sent other bytes");
  return ChunkView::Owned(std::move(bytes));
}

class Source final : public LocalCacheSource {
 public:
  explicit Source(std::optional<LocalCacheCounters> counters)
      : counters_(counters.value_or(
            LocalCacheCounters{own_[0], own_[1], own_[2], own_[3], own_[4]})) {}
  ~Source() override {
    {
      MutexLock lock(mutex_);
      stop_ = true;
      if (socket_ != nullptr) shutdown(socket_->get(), SHUT_RDWR);
      changed_.NotifyAll();
    }
    reader_ = {};
  }

  Status Begin(std::optional<LocalCacheChannel> channel) {
    if (channel) {
      const bool is_away = !channel->socket;
      const Status replaced = Replace(*std::move(channel));
      if (!replaced.ok() && !is_away) return replaced;
      if (!replaced.ok())
        LogWarn("what is in the arena is not used",
                {{"cause", replaced.error().message}});
    }
    reader_ = std::jthread([this] { ReadAnswers(); });
    return Ok();
  }

  Status Replace(LocalCacheChannel channel) override EXCLUDES(mutex_);
  Result<ChunkView> Get(const ChunkRef& ref, const Want& want) override;
  void Prefetch(std::vector<ChunkRef> refs) override EXCLUDES(mutex_);

  bool IsConnected() const override EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return socket_ != nullptr;
  }

  LocalCacheStats Stats() const override {
    return {counters_.hits,
            counters_.misses,
            counters_.bytes_loaded,
            counters_.prefetched,
            counters_.chunks_loaded,
            retries_,
            bad_pages_};
  }

 private:
  void CountMiss() const;
  void CountLoaded(const ChunkRef& ref) const;
  bool IsAskedFor(const ChunkName& name) const REQUIRES(mutex_);
  ArenaFind Find(const ChunkRef& ref, const Want& want);
  Status ReplaceRing(const Fd& ring) REQUIRES(mutex_);
  Result<ChunkView> GetOwned(const ChunkRef& ref, const Want& want,
                             bool suspect);
  // Asks until there is an answer that waiting cannot better.
  Status Ask(const ChunkRef& ref, const Want& want, bool owned, bool suspect,
             Waiter& waiter) EXCLUDES(mutex_);
  // False: the daemon died meanwhile.
  Result<bool> AskOnce(const ChunkRef& ref, const Want& want, bool owned,
                       bool suspect, Waiter& waiter) EXCLUDES(mutex_);
  Result<bool> WaitForAnswer(const std::shared_ptr<const Fd>& socket,
                             const Waiter& waiter, Deadline until)
      EXCLUDES(mutex_);
  Result<bool> SendAndWait(const std::shared_ptr<const Fd>& socket,
                           const GetMessage& message, const Want& want,
                           const Waiter& waiter) EXCLUDES(mutex_);
  Result<std::shared_ptr<const Fd>> WaitForSocket(Deadline deadline)
      EXCLUDES(mutex_);
  void Pause(Deadline until) EXCLUDES(mutex_);

  void ReadAnswers() EXCLUDES(mutex_);
  void ReadSocket(const Fd& socket) EXCLUDES(mutex_);
  Status Dispatch(ByteSpan packet) EXCLUDES(mutex_);
  Status TakePart(const PartMessage& part) REQUIRES(mutex_);
  void Disconnect(const std::shared_ptr<const Fd>& socket) EXCLUDES(mutex_);
  // Sends as many prefetches as may be in flight.
  void SendPrefetches() REQUIRES(mutex_);

  // The hit path uses these two alone: the ring is there before the arena is.
  // Arenas are kept while this lives.
  std::atomic<const ArenaReader*> arena_{nullptr};
  std::optional<HitRing> ring_;

  std::array<std::atomic<uint64_t>, 5> own_{};
  const LocalCacheCounters counters_;
  std::atomic<uint64_t> retries_{0};
  std::atomic<uint64_t> bad_pages_{0};

  mutable Mutex mutex_;
  CondVar changed_;
  std::vector<std::unique_ptr<ArenaReader>> arenas_ GUARDED_BY(mutex_);
  // Null while there is no daemon. Shared with who just sends or receives.
  std::shared_ptr<const Fd> socket_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Waiter*> waiters_ GUARDED_BY(mutex_);
  std::deque<ChunkRef> to_prefetch_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, ChunkRef> prefetching_ GUARDED_BY(mutex_);
  uint64_t next_id_ GUARDED_BY(mutex_) = 1;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::jthread reader_;
};

Status Source::Replace(LocalCacheChannel channel) {
  MutexLock lock(mutex_);
  const ArenaReader* current = arena_.load(std::memory_order_relaxed);
  // Its ring is nobody's, so the one in use is as good.
  if (!channel.socket && current != nullptr) return Ok();
  if (current == nullptr || !current->IsSameFile(channel.arena)) {
    ASSIGN_OR_RETURN(auto arena, ArenaReader::Map(channel.arena));
    RETURN_IF_ERROR(ReplaceRing(channel.ring));
    arena_.store(arena.get(), std::memory_order_release);
    arenas_.push_back(std::move(arena));
  } else {
    RETURN_IF_ERROR(ReplaceRing(channel.ring));
  }
  if (!channel.socket) return Ok();
  if (socket_ != nullptr) shutdown(socket_->get(), SHUT_RDWR);
  socket_ = std::make_shared<const Fd>(std::move(channel.socket));
  prefetching_.clear();
  SendPrefetches();
  changed_.NotifyAll();
  return Ok();
}

Status Source::ReplaceRing(const Fd& ring) {
  if (ring_.has_value()) return ring_->ReplaceWith(ring);
  ASSIGN_OR_RETURN(ring_, HitRing::Map(ring));
  return Ok();
}

void Source::CountLoaded(const ChunkRef& ref) const {
  counters_.chunks_loaded.fetch_add(1, std::memory_order_relaxed);
  counters_.bytes_loaded.fetch_add(ref.stored_length,
                                   std::memory_order_relaxed);
}

void Source::CountMiss() const {
  counters_.misses.fetch_add(1, std::memory_order_relaxed);
}

bool Source::IsAskedFor(const ChunkName& name) const {
  return std::any_of(
             prefetching_.begin(), prefetching_.end(),
             [&](const auto& each) { return each.second.name == name; }) ||
         std::any_of(waiters_.begin(), waiters_.end(), [&](const auto& each) {
           return each.second->name == name;
         });
}

void Source::Prefetch(std::vector<ChunkRef> refs) {
  const MutexLock lock(mutex_);
  to_prefetch_.assign(std::make_move_iterator(refs.begin()),
                      std::make_move_iterator(refs.end()));
  SendPrefetches();
}

// Nothing here waits. A socket without room has answers to come, and each of
// them sends more.
void Source::SendPrefetches() {
  while (socket_ != nullptr && !to_prefetch_.empty() &&
         prefetching_.size() < kPrefetchesAtOnce) {
    const ChunkRef& ref = to_prefetch_.front();
    if (!IsAskedFor(ref.name) &&
        Find(ref, {}).outcome != ArenaFind::Outcome::kHit) {
      const GetMessage message{next_id_, ref,   Urgency::kPrefetch,
                               false,    false, kPrefetchMs};
      const Result<bool> sent =
          TrySendMessage(socket_->get(), Encode(message), {});
      if (!sent.ok() || !*sent) return;
      prefetching_.emplace(next_id_++, ref);
      counters_.prefetched.fetch_add(1, std::memory_order_relaxed);
    }
    to_prefetch_.pop_front();
  }
}

ArenaFind Source::Find(const ChunkRef& ref, const Want& want) {
  const ArenaReader* arena = arena_.load(std::memory_order_acquire);
  if (arena == nullptr) return {};
  return arena->Find(ref, want.offset, want.checks_pages ? 0 : want.length);
}

Result<ChunkView> Source::Get(const ChunkRef& ref, const Want& want) {
  if (want.offset > ref.stored_length ||
      want.length > ref.stored_length - want.offset)
    return MakeError(Code::kInvalid, "local cache: a range outside the chunk");
  bool suspect = false;
  bool missed = false;
  for (int tries = 0; tries < kTriesBeforeOwned && !want.owned; ++tries) {
    ArenaFind found = Find(ref, want);
    switch (found.outcome) {
      case ArenaFind::Outcome::kHit:
        if (!missed) counters_.hits.fetch_add(1, std::memory_order_relaxed);
        ring_->Record(found.slot);
        return *std::move(found.view);
      case ArenaFind::Outcome::kChanged:
        retries_.fetch_add(1, std::memory_order_relaxed);
        continue;
      case ArenaFind::Outcome::kBadPage:
        suspect = true;
        ++bad_pages_;
        LogWarn("damaged page in the local cache",
                {{"chunk", ref.name.ToString()}, {"tier", "arena"}});
        break;
      case ArenaFind::Outcome::kMiss:
        break;
    }
    if (!std::exchange(missed, true)) CountMiss();
    Waiter waiter;
    RETURN_IF_ERROR(Ask(ref, want, false, suspect, waiter));
    if (waiter.is_inline) return OwnedView(ref, std::move(waiter.bytes));
  }
  if (!missed) CountMiss();
  return GetOwned(ref, want, suspect);
}

Result<ChunkView> Source::GetOwned(const ChunkRef& ref, const Want& want,
                                   bool suspect) {
  Waiter waiter;
  RETURN_IF_ERROR(Ask(ref, want, true, suspect, waiter));
  return OwnedView(ref, std::move(waiter.bytes));
}

Status Source::Ask(const ChunkRef& ref, const Want& want, bool owned,
                   bool suspect, Waiter& waiter) {
  const auto begun = SystemClock().Now();
  bool logged = false;
  std::string cause = "nothing";
  for (auto now = begun; now < want.deadline; now = SystemClock().Now()) {
    waiter = Waiter{ref.name, ref.stored_length};
    const auto answered = AskOnce(ref, want, owned, suspect, waiter);
    if (answered.ok() && *answered) return Ok();
    if (answered.ok()) continue;
    if (!MayHeal(answered.error().code)) return answered.error();
    // That time is up says less than what was said before.
    if (answered.error().code != Code::kTimeout || cause == "nothing")
      cause = answered.error().message;
    now = SystemClock().Now();
    if (now - begun >= kLogAfter && !std::exchange(logged, true))
      LogWarn("a read waits for its chunk", {{"chunk", ref.name.ToString()},
                                             {"tier", "local cache"},
                                             {"cause", cause}});
    Pause(std::min(want.deadline, now + kAskAgain));
  }
  return MakeError(Code::kTimeout, "chunk " + ref.name.ToString() +
                                       ": no tier answered in time; the last "
                                       "said: " +
                                       cause);
}

Result<std::shared_ptr<const Fd>> Source::WaitForSocket(Deadline deadline) {
  MutexLock lock(mutex_);
  while (socket_ == nullptr && !stop_)
    if (!changed_.WaitUntil(mutex_, deadline))
      return MakeError(Code::kTimeout, "the local cache daemon is not running");
  if (stop_) return MakeError(Code::kIo, "the local cache client is closing");
  return socket_;
}

void Source::Pause(Deadline until) {
  MutexLock lock(mutex_);
  while (!stop_ && changed_.WaitUntil(mutex_, until)) continue;
}

Result<bool> Source::AskOnce(const ChunkRef& ref, const Want& want, bool owned,
                             bool suspect, Waiter& waiter) {
  const auto step = std::min(want.deadline, SystemClock().Now() + kLogAfter);
  ASSIGN_OR_RETURN(const std::shared_ptr<const Fd> socket, WaitForSocket(step));
  const int64_t left =
      std::clamp<int64_t>(std::chrono::duration_cast<milliseconds>(
                              want.deadline - SystemClock().Now())
                              .count(),
                          0, 3'600'000);
  GetMessage message{0,     ref,     want.urgency,
                     owned, suspect, static_cast<uint32_t>(left)};
  {
    MutexLock lock(mutex_);
    message.id = next_id_++;
    // One that has just come was somebody else's.
    waiter.loads = !IsAskedFor(ref.name) &&
                   Find(ref, {}).outcome != ArenaFind::Outcome::kHit;
    waiters_.emplace(message.id, &waiter);
  }
  const auto answered = SendAndWait(socket, message, want, waiter);
  MutexLock lock(mutex_);
  waiters_.erase(message.id);
  // The answer may have come after all, just now.
  if (!waiter.done) return answered;
  if (waiter.error.has_value()) return *waiter.error;
  if (waiter.loads) CountLoaded(ref);
  return true;
}

Result<bool> Source::SendAndWait(const std::shared_ptr<const Fd>& socket,
                                 const GetMessage& message, const Want& want,
                                 const Waiter& waiter) {
  const Status sent =
      SendMessage(socket->get(), Encode(message), {}, want.deadline);
  if (!sent.ok()) {
    if (sent.error().code != Code::kUnavailable) return sent.error();
    Disconnect(socket);
    return false;
  }
  const auto log_at = SystemClock().Now() + kLogAfter;
  auto answered =
      WaitForAnswer(socket, waiter, std::min(log_at, want.deadline));
  if (answered.ok() || log_at >= want.deadline) return answered;
  LogWarn("a read waits for its chunk",
          {{"chunk", message.ref.name.ToString()},
           {"tier", "origin"},
           {"cause", "the local cache has not answered yet"}});
  return WaitForAnswer(socket, waiter, want.deadline);
}

// False: the daemon died meanwhile.
Result<bool> Source::WaitForAnswer(const std::shared_ptr<const Fd>& socket,
                                   const Waiter& waiter, Deadline until) {
  MutexLock lock(mutex_);
  while (!waiter.done && socket_ == socket)
    if (!changed_.WaitUntil(mutex_, until))
      return MakeError(Code::kTimeout,
                       "the local cache did not answer in time");
  return waiter.done;
}

void Source::ReadAnswers() {
  while (true) {
    std::shared_ptr<const Fd> socket;
    {
      MutexLock lock(mutex_);
      while (socket_ == nullptr && !stop_) changed_.Wait(mutex_);
      if (stop_) return;
      socket = socket_;
    }
    ReadSocket(*socket);
    Disconnect(socket);
  }
}

// Until the daemon is gone, or sends what it should not.
void Source::ReadSocket(const Fd& socket) {
  Bytes packet(kMaxPacket);
  while (true) {
    const auto message = ReceiveMessage(socket.get(), packet, Deadline::max());
    if (!message.ok() && message.error().code == Code::kUnavailable) return;
    const Status status =
        message.ok() ? Dispatch(ByteSpan(packet).first(message->byte_count))
                     : Status(message.error());
    if (status.ok()) continue;
    LogWarn("local cache: connection given up",
            {{"error", status.error().message}});
    return;
  }
}

Status Source::Dispatch(ByteSpan packet) {
  ASSIGN_OR_RETURN(const DaemonMessage message, ParseDaemonMessage(packet));
  MutexLock lock(mutex_);
  if (const auto* part = std::get_if<PartMessage>(&message))
    return TakePart(*part);
  const auto* done = std::get_if<DoneMessage>(&message);
  if (done == nullptr)
    return MakeError(Code::kInvalid, "local cache protocol: greeted twice");
  if (const auto it = prefetching_.find(done->id); it != prefetching_.end()) {
    if (!done->error) CountLoaded(it->second);
    prefetching_.erase(it);
    SendPrefetches();
    return Ok();
  }
  // Who asked may have given up.
  const auto it = waiters_.find(done->id);
  if (it == waiters_.end()) return Ok();
  it->second->done = true;
  it->second->is_inline = done->is_inline;
  it->second->error = done->error;
  changed_.NotifyAll();
  SendPrefetches();
  return Ok();
}

Status Source::TakePart(const PartMessage& part) {
  const auto it = waiters_.find(part.id);
  if (it == waiters_.end()) return Ok();
  Waiter& waiter = *it->second;
  if (part.offset != waiter.bytes.size() ||
      part.bytes.size() > waiter.expected - waiter.bytes.size())
    return MakeError(Code::kInvalid, "local cache protocol: part out of order");
  waiter.bytes.insert(waiter.bytes.end(), part.bytes.begin(), part.bytes.end());
  return Ok();
}

void Source::Disconnect(const std::shared_ptr<const Fd>& socket) {
  MutexLock lock(mutex_);
  if (socket_ != socket) return;
  shutdown(socket->get(), SHUT_RDWR);
  socket_ = nullptr;
  prefetching_.clear();
  changed_.NotifyAll();
}

}  // namespace

Result<LocalCacheChannel> LocalCacheSource::Handshake(Fd socket) {
  const Deadline deadline = SystemClock().Now() + kHandshakeTime;
  RETURN_IF_ERROR_AS(
      SendMessage(socket.get(), Encode(HelloMessage{}), {}, deadline),
      "local cache");
  std::array<std::byte, 64> packet;
  ASSIGN_OR_RETURN_AS(ReceivedMessage message,
                      ReceiveMessage(socket.get(), packet, deadline),
                      "local cache");
  ASSIGN_OR_RETURN(
      const DaemonMessage parsed,
      ParseDaemonMessage(ByteSpan(packet).first(message.byte_count)));
  const auto* welcome = std::get_if<WelcomeMessage>(&parsed);
  if (welcome == nullptr || welcome->version != kLocalCacheVersion ||
      message.fds.size() != 2)
    return MakeError(Code::kInvalid,
                     "local cache: the daemon speaks another version of the "
                     "protocol; restart it");
  return LocalCacheChannel{std::move(socket), std::move(message.fds[0]),
                           std::move(message.fds[1])};
}

Result<std::unique_ptr<LocalCacheSource>> LocalCacheSource::Open(
    std::optional<LocalCacheChannel> channel,
    std::optional<LocalCacheCounters> counters) {
  auto source = std::make_unique<Source>(counters);
  RETURN_IF_ERROR(source->Begin(std::move(channel)));
  return std::unique_ptr<LocalCacheSource>(std::move(source));
}

}  // namespace morsel
