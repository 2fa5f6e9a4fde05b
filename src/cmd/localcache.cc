// SPDX-License-Identifier: Apache-2.0
// morsel-localcache: the local cache of a worker, or of one agent
// (cmd/localcache_words.h).
#include <malloc.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <thread>

#include "base/clock.h"
#include "base/config.h"
#include "base/confine.h"
#include "base/log.h"
#include "cmd/localcache_words.h"
#include "localcache/arena_file.h"
#include "localcache/flash_chunks.h"
#include "localcache/lease_keeper.h"
#include "localcache/server.h"
#include "net/http_client.h"
#include "net/metrics_server.h"
#include "net/service_notify.h"
#include "net/unix_socket.h"
#include "origin/chunk_object.h"
#include "store/open_store.h"
#include "store/trial_store.h"
#include "zonecache/client_metrics.h"
#include "zonecache/open_client.h"

namespace morsel {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

// The daemon's parts, in the order in which they need each other.
class Daemon {
 public:
  explicit Daemon(LocalCacheWords words) : words_(std::move(words)) {}

  // Opens all that needs a right, gives the rights up, and builds the rest.
  Status Start();
  // Until it is told to end, or has nobody to serve.
  Status Serve();

 private:
  Status OpenEndpoints();
  Status Build();
  Status ConfineItself(std::vector<std::string> store_syscalls);
  Status Tune();
  void AttendSignals(const sigset_t& signals);

  LocalCacheWords words_;
  ServiceNotify notify_ = ServiceNotify::Open();
  Metrics all_metrics_;
  LocalCacheMetrics metrics_{all_metrics_};
  std::unique_ptr<FlashChunks> flash_;
  ZoneCache zone_cache_;  // its source is null without one
  std::unique_ptr<ArenaWriter> arena_;
  ConfinableStore store_;
  std::unique_ptr<TrialStore> trial_;
  std::unique_ptr<ChunkSource> origin_;
  std::unique_ptr<LeaseKeeper> leases_;
  ServerEndpoints endpoints_;
  std::unique_ptr<MetricsServer> metrics_server_;
  std::unique_ptr<LocalCacheServer> server_;
};

// The arena's lock comes first: who has it may replace the socket.
Status Daemon::OpenEndpoints() {
  endpoints_.control = std::move(words_.control);
  if (words_.client) endpoints_.clients.push_back(std::move(words_.client));
  endpoints_.manifest_id = words_.manifest_id;
  endpoints_.root = words_.root;
  if (!words_.is_shared) return Ok();
  const mode_t mode = words_.gid == 0 ? 0600 : 0660;
  ASSIGN_OR_RETURN_AS(endpoints_.listener,
                      ListenAtPath(words_.socket_path, mode, words_.gid),
                      "local_cache.socket");
  if (words_.metrics_listen.empty()) return Ok();
  ASSIGN_OR_RETURN(metrics_server_,
                   MetricsServer::Listen(words_.metrics_listen));
  return Ok();
}

// What the daemon does after it is confined, beside the common calls and those
// of its origin: it grows the arena, makes the rings of new clients, accepts
// them, and reads its settings again.
Status Daemon::ConfineItself(std::vector<std::string> store_syscalls) {
  ConfineOptions options;
  options.uid = words_.uid;
  options.syscalls = std::move(store_syscalls);
  for (const char* name :
       {"fallocate", "memfd_create", "ftruncate", "fcntl", "accept4",
        "setsockopt", "openat", "newfstatat", "geteuid"})
    options.syscalls.emplace_back(name);
  // Nodes may have names, which SIGHUP looks up.
  if (zone_cache_.source != nullptr)
    for (std::string& name : HttpSyscalls())
      options.syscalls.push_back(std::move(name));
  return Confine(options);
}

Status Daemon::Start() {
  ArenaOptions arena_options;
  arena_options.policy.kind = words_.policy;
  // Only asked for room, and so only later, when flash_ is there.
  arena_options.wants_evicted = [this](const ChunkName& name) {
    return flash_ != nullptr && !flash_->Contains(name);
  };
  arena_options.take_evicted = [this](const ChunkName& name, ByteSpan bytes) {
    flash_->OfferNamed(name, bytes);
  };
  ArenaPlace place{std::move(words_.arena), words_.arena_path,
                   words_.memory_bytes, words_.uid};
  ASSIGN_OR_RETURN(arena_, OpenArena(place, arena_options, SystemClock()));
  ASSIGN_OR_RETURN(
      store_,
      OpenConfinableStore(words_.origin, {"leases", "alarms"}, words_.uid));
  RETURN_IF_ERROR(OpenEndpoints());
  if (words_.is_shared) {
    ASSIGN_OR_RETURN(const Config config, Config::Load(words_.config_path));
    if (HasZoneCache(config)) {
      ASSIGN_OR_RETURN(zone_cache_, OpenZoneCache(config, SystemClock()));
    }
  }
  std::unique_ptr<CacheDevice> flash_device;
  if (!words_.flash_dir.empty()) {
    ASSIGN_OR_RETURN(flash_device, FlashChunks::OpenDevice(words_.flash_dir,
                                                           words_.flash_bytes));
  }
  // No thread is there before.
  RETURN_IF_ERROR_AS(ConfineItself(store_.syscalls), "confine");
  zone_cache_.Begin();
  if (flash_device != nullptr) {
    ASSIGN_OR_RETURN(flash_,
                     FlashChunks::Make(std::move(flash_device), SystemClock(),
                                       {.kind = words_.policy}));
  }
  return Build();
}

// The stack, from the tiers up to the server.
Status Daemon::Build() {
  trial_ = std::make_unique<TrialStore>(*store_.store);
  origin_ = MakeOriginChunkSource(*trial_);
  leases_ = std::make_unique<LeaseKeeper>(
      *trial_, SystemClock(), metrics_, LeaseOptions{.worker = words_.worker});
  all_metrics_.OnCollect([this] {
    metrics_.Show(arena_->Stats());
    if (flash_ != nullptr) metrics_.Show(flash_->Stats());
  });
  ServerOptions options;
  options.fetch.origin_requests = words_.origin_requests;
  if (zone_cache_.source != nullptr) {
    ExportStripedMetrics(all_metrics_, *zone_cache_.source);
    options.add_to_report = [this](Json& report) {
      report["zone_cache"] = StripedFigures(*zone_cache_.source);
    };
  }
  FetchTiers tiers;
  tiers.flash = flash_.get();
  tiers.flash_sink = flash_.get();
  tiers.flash_verifies = true;
  tiers.zone_cache = zone_cache_.source.get();
  tiers.zone_cache_sink = zone_cache_.source.get();
  tiers.zone_cache_verifies = true;
  tiers.origin = origin_.get();
  tiers.origin_verifies = true;
  tiers.leases = leases_.get();
  ASSIGN_OR_RETURN(
      server_, LocalCacheServer::Make(options, tiers, *arena_, metrics_,
                                      SystemClock(), std::move(endpoints_)));
  if (metrics_server_ != nullptr) metrics_server_->Start(all_metrics_);
  return words_.is_shared ? Tune() : Ok();
}

// Takes what may change while the daemon runs.
Status Daemon::Tune() {
  ASSIGN_OR_RETURN(const LocalCacheTuning tuning,
                   ReadLocalCacheTuning(words_.config_path));
  ASSIGN_OR_RETURN_AS(const Trial trial, Trial::Parse(tuning.origin_trial),
                      "local_cache.origin_trial");
  if (!tuning.origin_trial.empty())
    LogWarn("a trial is on", {{"origin", tuning.origin_trial}});
  trial_->Set(trial);
  server_->SetMaxStarting(tuning.max_starting);
  if (zone_cache_.source == nullptr) return Ok();
  ASSIGN_OR_RETURN(const Config config, Config::Load(words_.config_path));
  return ReloadZoneNodes(config, *zone_cache_.source);
}

// SIGHUP reloads; another signal stops the server. The last one comes from
// Serve.
void Daemon::AttendSignals(const sigset_t& signals) {
  int number = 0;
  while (sigwait(&signals, &number) != 0 || number == SIGHUP) {
    if (number != SIGHUP || !words_.is_shared) continue;
    const Status tuned = Tune();
    if (tuned.ok())
      LogInfo("settings reloaded", {});
    else
      LogError("settings not reloaded", {{"error", tuned.error().message}});
  }
  notify_.Stopping();
  server_->Stop();
}

Status Daemon::Serve() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, number);
  std::jthread attendant([&] { AttendSignals(signals); });
  if (words_.is_shared)
    LogInfo("serving", {{"socket", words_.socket_path},
                        {"arena", words_.arena_path},
                        {"memory_bytes", words_.memory_bytes},
                        {"chunks", arena_->Stats().chunks}});
  leases_->Start();
  notify_.Ready();
  const Status status = server_->Run();
  // A private one ends with its device; those of a shared one live on.
  if (!words_.is_shared) leases_->EndAll();
  pthread_kill(attendant.native_handle(), SIGTERM);
  attendant.join();
  // A request to the origin that hangs, and that nobody waits for, keeps no
  // daemon: whoever starts the next one waits for its end.
  if (server_->IsPrefetching()) ::_exit(status.ok() ? 0 : 1);
  return status;
}

// Before any thread is there, so that all of them block them.
void BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// Each chunk that is fetched passes through a buffer of its size. Were it taken
// from the system and given back each time, its pages would cost as much as its
// hash.
void KeepBuffers() {
  ::mallopt(M_MMAP_THRESHOLD, 4 * kMiB);
  ::mallopt(M_TRIM_THRESHOLD, 16 * kMiB);
  ::mallopt(M_ARENA_MAX, 4);
}

int Main(int argc, char** argv) {
  InitLog("morsel-localcache", LogLevel::kInfo);
  // It has AWS's secrets before it is confined.
  if (const Status no_core = RefuseCoreFiles(); !no_core.ok())
    LogWarn("core files are not refused yet",
            {{"cause", no_core.error().message}});
  KeepBuffers();
  Result<LocalCacheWords> words = ParseLocalCacheWords(argc, argv);
  if (!words.ok()) {
    std::fprintf(stderr, "morsel-localcache: %s\n",
                 words.error().message.c_str());
    return kUsage;
  }
  BlockSignals();
  Daemon daemon(std::move(words).value());
  Status status = daemon.Start();
  if (status.ok()) status = daemon.Serve();
  if (status.ok()) return 0;
  LogError("the local cache cannot serve", {{"error", status.error().message}});
  return kFailed;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) { return morsel::Main(argc, argv); }
