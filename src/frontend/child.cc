// SPDX-License-Identifier: Apache-2.0
#include "frontend/child.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "block/agent_setup.h"
#include "block/device_stats.h"
#include "block/image_device.h"
#include "block/overlay_device.h"
#include "block/startup_recorder.h"
#include "block/stats_device.h"
#include "crypto/cipher.h"
#include "frontend/fuse_file.h"
#include "frontend/report.h"
#include "localcache/source.h"
#include "manifest/manifest.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxSetupBytes = kMiB;
constexpr uint64_t kMaxManifestBytes = 256 * kMiB;

// A guard that knows of a cache's death gives the next one by itself; who has
// waited so long asks, and twice as long before he asks again.
constexpr std::chrono::seconds kAskForCacheAfter(2);
constexpr std::chrono::seconds kAskForCacheAtMost(32);
// The first one is on its way when a child begins, unless the daemon is away:
// then the device goes on without, as what was written needs none.
constexpr std::chrono::seconds kAwaitCacheTime(2);

// A whole inherited file, from its beginning; closes it.
Result<Bytes> ReadInherited(int number, uint64_t limit) {
  const Fd file(number);
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(number));
  if (size > limit)
    return MakeError(Code::kInvalid, "an inherited file is too large");
  Bytes bytes(size);
  RETURN_IF_ERROR(ReadFullAt(number, 0, bytes));
  return bytes;
}

// The same for a secret, which passes through no other memory.
Result<SecretBuffer> ReadSecret(int number, size_t size) {
  const Fd file(number);
  SecretBuffer secret(size);
  RETURN_IF_ERROR_AS(ReadFullAt(number, 0, secret.mutable_bytes()),
                     "an inherited key");
  return secret;
}

// While there is a right to lock memory; each thread makes its slot resident
// before it reads.
Result<FuseSlots> MapSlots(size_t thread_count) {
  const Fd file(kChildSlotsFd);
  ASSIGN_OR_RETURN(FuseSlots slots, FuseSlots::Map(file.get(), thread_count,
                                                   FuseSlots::Part::kWhole));
  RETURN_IF_ERROR(slots.LockInMemory());
  return slots;
}

Result<AgentSetup> ReadSetup() {
  ASSIGN_OR_RETURN(const Bytes text,
                   ReadInherited(kChildSetupFd, kMaxSetupBytes));
  ASSIGN_OR_RETURN(const Json json, Json::Parse(AsText(text)));
  return AgentSetup::FromJson(json);
}

Result<OpenManifest> ReadManifest() {
  ASSIGN_OR_RETURN(Bytes bytes,
                   ReadInherited(kChildManifestFd, kMaxManifestBytes));
  ASSIGN_OR_RETURN(Manifest manifest, Manifest::Parse(std::move(bytes)));
  ASSIGN_OR_RETURN(const SecretBuffer key,
                   ReadSecret(kChildDataKeyFd, kKeySize));
  return OpenManifest::Open(std::move(manifest), SecretKey(key.bytes()));
}

// Which boot of the machine this is: after another one, an overlay trusts only
// what was flushed.
Result<std::string> ReadBootId() {
  const std::string path = "/proc/sys/kernel/random/boot_id";
  ASSIGN_OR_RETURN(const Bytes bytes, ReadWholeFile(path, kKiB));
  const std::string_view text = AsText(bytes);
  return std::string(text.substr(0, text.find('\n')));
}

Result<OverlayOptions> ReadOverlay(const AgentSetup& setup) {
  ASSIGN_OR_RETURN(std::string boot_id, ReadBootId());
  ASSIGN_OR_RETURN(SecretBuffer key,
                   ReadSecret(kChildOverlayKeyFd, kXtsKeySize));
  const bool is_named = !setup.overlay_dir.empty();
  return OverlayOptions{.data = Fd(kChildOverlayDataFd),
                        .map = Fd(kChildOverlayMapFd),
                        .key = std::move(key),
                        .manifest_id = setup.manifest_id,
                        .max_bytes = setup.overlay_max_bytes,
                        .durable = is_named,
                        .boot_id = std::move(boot_id),
                        .witness = Fd(is_named ? kChildOverlayWitnessFd : -1)};
}

Status GiveUpRights(const AgentSetup& setup) {
  WarmUpCiphers();
  ConfineOptions options;
  options.uid = ::geteuid() == 0 ? setup.child_uid : 0;
  // newfstatat is glibc's fstat; fcntl looks at the seals of a ring.
  options.syscalls = {"fallocate", "fcntl",     "fdatasync",
                      "fsync",     "ftruncate", "newfstatat"};
  return Confine(options);
}

// What the guard gives while the local cache is away.
std::optional<LocalCacheChannel> ArenaOf(ReceivedMessage& message) {
  if (message.fds.size() != 2) return std::nullopt;
  return LocalCacheChannel{.socket = {},
                           .arena = std::move(message.fds[0]),
                           .ring = std::move(message.fds[1])};
}

// The chunks of the startup profile that the manifest has.
std::vector<ChunkRef> StartupRefs(const AgentSetup& setup,
                                  const Manifest& manifest) {
  std::vector<ChunkRef> refs;
  for (const uint32_t index : setup.startup_chunks) {
    const std::optional<size_t> position = manifest.FindChunk(index);
    if (!position) continue;
    const ManifestChunk chunk = manifest.ChunkAt(*position);
    refs.push_back({.name = chunk.name,
                    .root = setup.root,
                    .stored_length = chunk.stored_length});
  }
  return refs;
}

Deadline InOneMinute() { return SystemClock().Now() + std::chrono::minutes(1); }

// The device's stack, from the local cache up to the FUSE file.
class Child {
 public:
  explicit Child(Fd guard) : guard_(std::move(guard)) {}
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Status Start();
  void Serve();
  const Fd& guard() const { return guard_; }

 private:
  Status OpenDevices(const AgentSetup& setup, OpenManifest manifest,
                     std::optional<OverlayOptions> overlay);
  // The first local cache that answers, or the arena of one that is away, or
  // none.
  Result<std::optional<LocalCacheChannel>> AwaitCache();
  // Takes new local caches from the guard, and asks for one if none comes.
  void Attend(const std::stop_token& stop);
  void AskForCache();
  // The next word of the guard's.
  Result<ReceivedMessage> Hear(Deadline deadline);
  Status TakeCache(Fd socket);

  Fd guard_;
  uint64_t caches_received_ = 0;
  std::optional<FuseSlots> slots_;
  std::optional<MappedDeviceStats> stats_;
  std::unique_ptr<LocalCacheSource> cache_;
  std::optional<StartupRecorder> recorder_;
  std::unique_ptr<BlockDevice> image_;
  std::unique_ptr<BlockDevice> device_;
  std::unique_ptr<FuseFile> file_;
  std::jthread attendant_;  // runs Attend
};

Child::~Child() {
  attendant_.request_stop();
  ::shutdown(guard_.get(), SHUT_RD);  // wakes it
}

Status Child::Start() {
  ASSIGN_OR_RETURN(const AgentSetup setup, ReadSetup());
  ASSIGN_OR_RETURN(OpenManifest manifest, ReadManifest());
  std::optional<OverlayOptions> overlay;
  if (!setup.read_only) {
    ASSIGN_OR_RETURN(overlay, ReadOverlay(setup));
  }
  const Fd stats_file(kChildStatsFd);
  ASSIGN_OR_RETURN(MappedDeviceStats stats,
                   MappedDeviceStats::Map(stats_file.get()));
  stats_.emplace(std::move(stats));
  ASSIGN_OR_RETURN(FuseSlots slots, MapSlots(setup.thread_count));
  slots_.emplace(std::move(slots));
  if (overlay) overlay->flush_state = &slots_->overlay_flush();
  ASSIGN_OR_RETURN(
      file_, FuseFile::Open(SystemClock(), {.fuse_fd = kChildFuseFd,
                                            .slots = &*slots_,
                                            .read_only = setup.read_only}));
  RETURN_IF_ERROR_AS(GiveUpRights(setup), "confine the agent's child");
  RETURN_IF_ERROR(OpenDevices(setup, std::move(manifest), std::move(overlay)));
  // Before what a predecessor has left is done: that may need a cache.
  attendant_ =
      std::jthread([this](const std::stop_token& stop) { Attend(stop); });
  RETURN_IF_ERROR(file_->Start(*device_));
  slots_->SetServing(SystemClock().Now());
  return Ok();
}

// The guard gives one when the child may begin. A cache that dies just then is
// followed by another.
Result<std::optional<LocalCacheChannel>> Child::AwaitCache() {
  const Deadline deadline = SystemClock().Now() + kAwaitCacheTime;
  while (true) {
    Result<ReceivedMessage> message = Hear(deadline);
    if (!message.ok() && message.error().code == Code::kTimeout) {
      LogWarn("the device begins without a local cache", {});
      return std::optional<LocalCacheChannel>();
    }
    if (!message.ok()) return std::move(message).error().Wrap("the guard");
    if (auto arena = ArenaOf(*message)) {
      LogWarn("the device begins with the arena of a local cache that is away",
              {});
      return arena;
    }
    if (message->fds.size() != 1) continue;
    Result<LocalCacheChannel> channel =
        LocalCacheSource::Handshake(std::move(message->fds[0]));
    if (channel.ok())
      return std::optional<LocalCacheChannel>(std::move(channel).value());
    // Dead, or alive and silent: the device is worth more than its cache.
    const Code code = channel.error().code;
    if (code != Code::kUnavailable && code != Code::kTimeout)
      return std::move(channel).error();
  }
}

Status Child::OpenDevices(const AgentSetup& setup, OpenManifest manifest,
                          std::optional<OverlayOptions> overlay) {
  ASSIGN_OR_RETURN_AS(std::optional<LocalCacheChannel> channel, AwaitCache(),
                      "the local cache");
  DeviceStatsPage& page = stats_->page();
  ASSIGN_OR_RETURN(
      cache_, LocalCacheSource::Open(
                  std::move(channel),
                  {{.hits = page.Of(DeviceCounter::kCacheHits),
                    .misses = page.Of(DeviceCounter::kCacheMisses),
                    .bytes_loaded = page.Of(DeviceCounter::kBytesLoaded),
                    .prefetched = page.Of(DeviceCounter::kPrefetched),
                    .chunks_loaded = page.Of(DeviceCounter::kChunksLoaded)}}));
  recorder_.emplace(page, manifest.manifest().virtual_size() / kChunkSize + 1);
  if (recorder_->was_empty())
    cache_->Prefetch(StartupRefs(setup, manifest.manifest()));
  const std::chrono::duration<double> timeout(setup.io_timeout_seconds);
  std::unique_ptr<BlockDevice> top = MakeImageDevice(
      std::move(manifest), *cache_, SystemClock(),
      {.root = setup.root,
       .io_timeout =
           std::chrono::duration_cast<std::chrono::nanoseconds>(timeout),
       .recorder = &*recorder_});
  if (overlay) {
    image_ = std::move(top);
    ASSIGN_OR_RETURN(top, OpenOverlayDevice(*image_, *std::move(overlay)));
  }
  device_ = MakeStatsDevice(std::move(top), stats_->page());
  return Ok();
}

void Child::Serve() { file_->Serve(); }

Result<ReceivedMessage> Child::Hear(Deadline deadline) {
  std::array<std::byte, 16> buffer;
  Result<ReceivedMessage> message =
      ReceiveMessage(guard_.get(), buffer, deadline);
  if (message.ok() && message->fds.size() == 1) ++caches_received_;
  return message;
}

// A guard that has died has a twin, which hears it.
void Child::AskForCache() {
  const std::string word = NeedsCacheReport(caches_received_).Dump();
  static_cast<void>(
      SendMessage(guard_.get(), AsBytes(word), {}, InOneMinute()));
}

Status Child::TakeCache(Fd socket) {
  ASSIGN_OR_RETURN(LocalCacheChannel channel,
                   LocalCacheSource::Handshake(std::move(socket)));
  return cache_->Replace(std::move(channel));
}

void Child::Attend(const std::stop_token& stop) {
  std::chrono::seconds patience = kAskForCacheAfter;
  while (!stop.stop_requested()) {
    Result<ReceivedMessage> message = Hear(SystemClock().Now() + patience);
    if (!message.ok() && message.error().code == Code::kUnavailable) return;
    if (!message.ok() && message.error().code == Code::kTimeout) {
      const bool lacks = !cache_->IsConnected();
      if (lacks) AskForCache();
      patience = lacks ? std::min(patience * 2, kAskForCacheAtMost)
                       : kAskForCacheAfter;
      continue;
    }
    if (!message.ok()) continue;
    std::optional<LocalCacheChannel> arena = ArenaOf(*message);
    if (!arena && message->fds.size() != 1) continue;
    const Status taken = arena ? cache_->Replace(*std::move(arena))
                               : TakeCache(std::move(message->fds[0]));
    if (taken.ok()) patience = kAskForCacheAfter;
    if (!taken.ok())
      LogError("no new local cache", {{"cause", taken.error().message}});
  }
}

}  // namespace

int RunChild() {
  // The threads of the pool allocate next to nothing: one arena is enough, and
  // each further one costs memory in every agent.
  ::mallopt(M_ARENA_MAX, 1);
  ::signal(SIGPIPE, SIG_IGN);
  Child child{Fd(kChildGuardFd)};
  const Status started = child.Start();
  const std::string report =
      started.ok() ? "{}" : ErrorReport(started.error()).Dump();
  const Status told =
      SendMessage(child.guard().get(), AsBytes(report), {}, InOneMinute());
  if (!started.ok()) return 1;
  // The device is worth more than its guards.
  if (!told.ok()) LogError("no guard", {{"cause", told.error().message}});
  child.Serve();
  return 0;
}

}  // namespace morsel
