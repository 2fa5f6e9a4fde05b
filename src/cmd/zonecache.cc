// SPDX-License-Identifier: Apache-2.0
// morsel-zonecache: a node of the zone cache. It speaks the memcached protocol;
// the settings `zone_node.*` say the rest.
//
//   morsel-zonecache [--config FILE] [--KEY VALUE...]
//
// where KEY is a setting, such as --zone_node.listen. Once it serves it prints
// `listening on ADDRESS` and tells its service manager. SIGTERM: it sends what
// it has executed, and ends.
// SIGHUP: it reads certificates anew.
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/parallel.h"
#include "cache/tiered_cache.h"
#include "net/metrics_server.h"
#include "net/service_notify.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "zonecache/node_metrics.h"
#include "zonecache/node_server.h"
#include "zonecache/open_client.h"

namespace morsel {
namespace {

Result<Config> ReadWords(int argc, char** argv) {
  std::string file;
  std::vector<std::pair<std::string, std::string>> words;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (!name.starts_with("--") || i + 1 == argc)
      return MakeError(Code::kInvalid,
                       "usage: morsel-zonecache [--config FILE] "
                       "[--zone_node.KEY VALUE...]");
    if (name == "--config") {
      file = argv[i + 1];
    } else {
      words.emplace_back(name.substr(2), argv[i + 1]);
    }
  }
  ASSIGN_OR_RETURN(Config config, Config::Load(file));
  for (const auto& [key, value] : words)
    RETURN_IF_ERROR(config.Set(key, value));
  return config;
}

Result<std::unique_ptr<FlashTier>> OpenFlash(const Config& config,
                                             const PolicyOptions& policy) {
  const std::string& path = config.Text("zone_node.flash_path");
  if (path.empty()) return std::unique_ptr<FlashTier>();
  RETURN_IF_ERROR(MakeDirectories(
      std::filesystem::path(path).parent_path().string(), 0700));
  ASSIGN_OR_RETURN(
      auto device,
      OpenFileDevice(path,
                     {.max_bytes = config.SizeBytes("zone_node.flash_bytes")}));
  FlashTierOptions options;
  options.policy = policy;
  return FlashTier::Open(std::move(device), options, SystemClock());
}

Result<std::unique_ptr<TieredCache>> OpenCache(const Config& config) {
  TieredCacheOptions options;
  options.memory.max_bytes = config.SizeBytes("zone_node.memory_bytes");
  ASSIGN_OR_RETURN_AS(options.memory.policy.kind,
                      ParsePolicyKind(config.Text("cache.policy")),
                      "setting cache.policy");
  ASSIGN_OR_RETURN_AS(options.flash, OpenFlash(config, options.memory.policy),
                      "setting zone_node.flash_path");
  return TieredCache::Make(std::move(options), SystemClock());
}

// The certificates in use, which SIGHUP replaces.
class Certificates {
 public:
  explicit Certificates(const Config& config)
      : files_{config.Text("zone_node.tls_ca"),
               config.Text("zone_node.tls_cert"),
               config.Text("zone_node.tls_key")} {}

  bool is_on() const { return !files_.ca.empty(); }

  Status Load() EXCLUDES(mutex_) {
    ASSIGN_OR_RETURN(auto context,
                     TlsContext::Load(TlsContext::Side::kServer, files_));
    const MutexLock lock(mutex_);
    context_ = std::move(context);
    return Ok();
  }

  Result<std::unique_ptr<Stream>> Accept(Fd socket) EXCLUDES(mutex_) {
    std::shared_ptr<const TlsContext> context;
    {
      const MutexLock lock(mutex_);
      context = context_;
    }
    return context->MakeStream(std::move(socket), "");
  }

 private:
  const TlsFiles files_;
  Mutex mutex_;
  std::shared_ptr<const TlsContext> context_ GUARDED_BY(mutex_);
};

Result<Fd> Listen(const Config& config, bool has_tls, bool& is_loopback) {
  const std::string& text = config.Text("zone_node.listen");
  const std::string& plain = config.Text("zone_node.plain");
  if (plain != "loopback" && plain != "anywhere")
    return MakeError(Code::kInvalid, "setting zone_node.plain: '" + plain +
                                         "' is neither loopback nor anywhere");
  ASSIGN_OR_RETURN_AS(const SocketAddress address, ResolveAddress(text),
                      "setting zone_node.listen");
  is_loopback = address.is_loopback();
  if (!has_tls && !is_loopback && plain == "loopback")
    return MakeError(
        Code::kInvalid,
        "setting zone_node.listen: " + text +
            " is not on loopback and there is no TLS: set zone_node.tls_ca, "
            "tls_cert and tls_key, or zone_node.plain = \"anywhere\"");
  return ListenOn(address, 1024);
}

NodeServerOptions OptionsOf(const Config& config, Certificates& certificates,
                            bool is_loopback) {
  NodeServerOptions options;
  const auto threads =
      static_cast<uint32_t>(config.Integer("zone_node.threads"));
  options.threads =
      threads > 0 ? threads
                  : std::max(4U, 2 * static_cast<uint32_t>(UsableCores()));
  options.max_connections =
      static_cast<uint32_t>(config.Integer("zone_node.max_connections"));
  if (certificates.is_on())
    options.accept = [&certificates](Fd socket) {
      return certificates.Accept(std::move(socket));
    };
  if (!is_loopback)
    options.is_operator =
        [name = config.Text("zone_node.operator")](const Stream& stream) {
          return !name.empty() && stream.PeerName() == name;
        };
  return options;
}

// This node's entry in etcd, if there is one; null without.
Result<std::unique_ptr<EtcdLease>> Advertise(const Config& config) {
  const std::string& address = config.Text("zone_node.advertise");
  if (config.Text("zone_cache.etcd").empty() || address.empty())
    return std::unique_ptr<EtcdLease>();
  ASSIGN_OR_RETURN_AS(auto lease,
                      EtcdLease::Keep(EtcdOptionsOf(config), address,
                                      config.Text("zone_node.weight")),
                      "settings zone_node.advertise and zone_node.weight");
  return lease;
}

// SIGHUP and SIGTERM, as the server runs.
void HandleSignals(const sigset_t& signals, NodeServer& server,
                   Certificates& certificates,
                   std::unique_ptr<EtcdLease> lease) {
  int number = 0;
  while (true) {
    if (sigwait(&signals, &number) != 0) continue;
    if (number != SIGHUP) break;
    if (!certificates.is_on()) continue;
    const Status loaded = certificates.Load();
    if (loaded.ok()) {
      LogInfo("certificates read anew");
    } else {
      LogError("the old certificates stay",
               {{"error", loaded.error().message}});
    }
  }
  // The workers leave first.
  lease.reset();
  server.Stop();
}

// Values pass through buffers of their size on their way to flash and from it,
// taken by one thread and given back by another. With an arena for each thread
// and a threshold that moves they fill up with holes for minutes, to twice the
// size; were they taken from the system each time, their pages would cost as
// much as the read.
void KeepBuffers() {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_MMAP_THRESHOLD, 4 * kMiB);
  ::mallopt(M_TRIM_THRESHOLD, 4 * kMiB);
}

// Each connection needs a descriptor.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

Result<std::unique_ptr<MetricsServer>> ServeMetrics(const Config& config,
                                                    Metrics& metrics) {
  if (config.Text("metrics.listen").empty())
    return std::unique_ptr<MetricsServer>();
  ASSIGN_OR_RETURN_AS(auto server,
                      MetricsServer::Listen(config.Text("metrics.listen")),
                      "setting metrics.listen");
  server->Start(metrics);
  return server;
}

Status Serve(const Config& config) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
  const ServiceNotify notify = ServiceNotify::Open();
  Certificates certificates(config);
  if (certificates.is_on())
    RETURN_IF_ERROR_AS(certificates.Load(), "settings zone_node.tls_*");
  ASSIGN_OR_RETURN(const auto cache, OpenCache(config));
  bool is_loopback = false;
  ASSIGN_OR_RETURN(Fd listener,
                   Listen(config, certificates.is_on(), is_loopback));
  ASSIGN_OR_RETURN(const SocketAddress bound, BoundAddress(listener.get()));
  NodeStats stats;
  stats.started_unix = SystemClock().UnixSeconds();
  NodeParts node(*cache, stats, SystemClock());
  ASSIGN_OR_RETURN(
      const auto server,
      NodeServer::Make(OptionsOf(config, certificates, is_loopback),
                       std::move(listener), node));
  Metrics metrics;
  ExportNodeMetrics(metrics, node);
  ASSIGN_OR_RETURN(const auto exposed, ServeMetrics(config, metrics));
  ASSIGN_OR_RETURN(auto lease, Advertise(config));
  std::jthread waiter([&, held = std::move(lease)]() mutable {
    HandleSignals(signals, *server, certificates, std::move(held));
  });
  std::printf("listening on %s\n", bound.ToString().c_str());
  std::fflush(stdout);
  notify.Ready();
  const Status status = server->Run();
  notify.Stopping();
  pthread_kill(waiter.native_handle(), SIGTERM);
  waiter.join();
  // What memory alone has is worth more warm than cold.
  if (cache->flash() != nullptr) (void)cache->Flush();
  return status;
}

int Main(int argc, char** argv) {
  InitLog("morsel-zonecache", LogLevel::kInfo);
  KeepBuffers();
  const Result<Config> config = ReadWords(argc, argv);
  if (!config.ok()) {
    std::fprintf(stderr, "morsel-zonecache: %s\n",
                 config.error().message.c_str());
    return 2;
  }
  const Status status = Serve(*config);
  if (status.ok()) return 0;
  std::fprintf(stderr, "morsel-zonecache: %s\n",
               status.error().message.c_str());
  return status.error().code == Code::kInvalid ? 2 : 1;
}

}  // namespace
}  // namespace morsel

int main(int argc, char** argv) { return morsel::Main(argc, argv); }
