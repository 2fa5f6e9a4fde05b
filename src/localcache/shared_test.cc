// SPDX-License-Identifier: Apache-2.0
// The shared daemon: admission by its socket, its report, and its tiers.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "chunk/memory_source.h"
#include "localcache/arena_file.h"
#include "localcache/flash_chunks.h"
#include "localcache/ring.h"
#include "localcache/server.h"
#include "localcache/shared_client.h"
#include "localcache/source.h"
#include "localcache/test_chunks.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

using std::chrono::seconds;

class SharedDaemon {
 public:
  explicit SharedDaemon(const ServerOptions& options = {},
                        FetchTiers tiers = {}) {
    tiers.origin = &origin;
    ServerEndpoints endpoints{{}, Must(ListenAtPath(path, 0600, 0)), {}};
    server = Must(LocalCacheServer::Make(options, tiers, *arena, metrics,
                                         SystemClock(), std::move(endpoints)));
    thread_ = std::jthread([this] { EXPECT_TRUE(server->Run().ok()); });
  }
  ~SharedDaemon() {
    server->Stop();
    thread_ = {};
    unlink(path.c_str());
  }

  Result<AdmittedConnection> Admit(const std::string& device, bool starting,
                                   uint32_t age_ms = 0) const {
    return AskForAdmission(path, {kLocalCacheVersion, starting, age_ms, device},
                           In(seconds(60)));
  }
  std::unique_ptr<LocalCacheSource> Client(const std::string& device) const {
    return Must(LocalCacheSource::Open(Must(LocalCacheSource::Handshake(
        std::move(Must(Admit(device, true)).socket)))));
  }

  const std::string path =
      testing::TempDir() + "/shared-" + std::to_string(getpid());
  Fd file = Must(MakeArenaFile());
  std::unique_ptr<ArenaWriter> arena = Must(ArenaWriter::Open(file, 16 * kMiB));
  Metrics all;
  LocalCacheMetrics metrics{all};
  MemoryOrigin origin;
  std::unique_ptr<LocalCacheServer> server;

 private:
  std::jthread thread_;
};

TEST(SharedCache, ServesWhoIsAdmittedAndNobodyElse) {
  SharedDaemon daemon;
  const TestChunk chunk = MakeTestChunk(1);
  daemon.origin.Add(chunk);
  const auto first = daemon.Client("a");
  const auto second = daemon.Client("b");
  for (const auto* client : {&first, &second})
    EXPECT_EQ(Must((*client)->Get(chunk.ref, WantAll(chunk))).Copy(),
              chunk.bytes);
  EXPECT_EQ(daemon.origin.gets(), 1);
  EXPECT_FALSE(
      LocalCacheSource::Handshake(Must(ConnectToPath(daemon.path))).ok());
}

TEST(SharedCache, RefusesAStartPastTheLimitAndNeverWhoIsAttached) {
  ServerOptions options;
  options.max_starting = 2;
  SharedDaemon daemon(options);
  auto first = daemon.Admit("a", true);
  const auto second = daemon.Admit("b", true);
  ASSERT_TRUE(first.ok() && second.ok());
  const auto third = daemon.Admit("c", true);
  ASSERT_FALSE(third.ok());
  EXPECT_EQ(third.error().code, Code::kExhausted);
  EXPECT_NE(third.error().message.find("refused for load: 2 devices"),
            std::string::npos);
  EXPECT_TRUE(daemon.Admit("d", false, 40'000).ok());
  // Another connection of one that starts is no further start.
  EXPECT_TRUE(daemon.Admit("a", false).ok());
  EXPECT_EQ(daemon.metrics.refused.value(), 1u);
  daemon.server->SetMaxStarting(3);
  EXPECT_TRUE(daemon.Admit("e", true).ok());
}

LocalCacheChannel Away(const Fd& arena) {
  return {.socket = {},
          .arena = Must(Duplicate(arena.get())),
          .ring = Must(Duplicate(Must(HitRingDrain::Make()).file().get()))};
}

TEST(SharedCache, WhatIsInTheArenaIsReadByThoseWhoBeginWhileItIsAway) {
  std::optional<SharedDaemon> daemon(std::in_place);
  const TestChunk known = MakeTestChunk(1);
  const TestChunk other = MakeTestChunk(2);
  daemon->origin.Add(known);
  AdmittedConnection admitted = Must(daemon->Admit("a", true));
  EXPECT_EQ(fcntl(admitted.arena.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_TRUE(Must(LocalCacheSource::Open(Must(LocalCacheSource::Handshake(
                       std::move(admitted.socket)))))
                  ->Get(known.ref, WantAll(known))
                  .ok());
  daemon.reset();

  const auto early = Must(LocalCacheSource::Open(Away(admitted.arena)));
  const auto late = Must(LocalCacheSource::Open(std::nullopt));
  ASSERT_TRUE(late->Replace(Away(admitted.arena)).ok());
  for (const auto* client : {&early, &late}) {
    EXPECT_FALSE((*client)->IsConnected());
    EXPECT_EQ(Must((*client)->Get(known.ref, WantAll(known))).Copy(),
              known.bytes);
    Want want = WantAll(other);
    want.deadline = In(seconds(0));
    EXPECT_EQ((*client)->Get(other.ref, want).error().code, Code::kTimeout);
  }

  daemon.emplace();
  daemon->origin.Add(other);
  ASSERT_TRUE(early
                  ->Replace(Must(LocalCacheSource::Handshake(
                      std::move(Must(daemon->Admit("a", false)).socket))))
                  .ok());
  // One arena more does not take the place of what it has got.
  ASSERT_TRUE(early->Replace(Away(admitted.arena)).ok());
  EXPECT_TRUE(early->IsConnected());
  EXPECT_EQ(Must(early->Get(other.ref, WantAll(other))).Copy(), other.bytes);
}

TEST(SharedCache, AnArenaOfAnotherLayoutIsPassedOverWhileItIsAway) {
  const TestChunk chunk = MakeTestChunk(1);
  const auto client = Must(LocalCacheSource::Open(Away(Must(MakeArenaFile()))));
  Want want = WantAll(chunk);
  want.deadline = In(seconds(0));
  EXPECT_EQ(client->Get(chunk.ref, want).error().code, Code::kTimeout);
}

TEST(SharedCache, AnEndedDeviceMakesRoomForTheNextStart) {
  ServerOptions options;
  options.max_starting = 1;
  SharedDaemon daemon(options);
  for (int i = 0; i < 5; ++i) {
    // The daemon hears of an end a moment later.
    while (!daemon.Admit("device-" + std::to_string(i), true).ok())
      std::this_thread::yield();
  }
}

TEST(SharedCache, ReportsWhatItsTiersGave) {
  SharedDaemon daemon;
  const TestChunk chunk = MakeTestChunk(1);
  daemon.origin.Add(chunk);
  const auto client = daemon.Client("a");
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(client->Get(chunk.ref, WantAll(chunk)).ok());
  const Json report = Must(AskForReport(daemon.path, In(seconds(60))));
  EXPECT_EQ(report.IntOr("requests", -1), 1);
  EXPECT_EQ(report.IntOr("clients", -1), 1);
  const auto& tiers = *report.Find("tiers")->AsArray();
  EXPECT_EQ(tiers[0].StringOr("tier", ""), "arena");
  EXPECT_EQ(tiers[0].IntOr("hits", -1), 3);
  EXPECT_EQ(tiers[3].StringOr("tier", ""), "origin");
  EXPECT_EQ(tiers[3].IntOr("hits", -1), 1);
  EXPECT_EQ(tiers[3].IntOr("bytes", -1), chunk.ref.stored_length);
}

TEST(SharedCache, SaysThatNobodyIsThere) {
  const auto answer =
      AskForAdmission("/nonexistent/socket", {}, In(seconds(60)));
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, Code::kUnavailable);
  EXPECT_NE(answer.error().message.find("local_cache.socket"),
            std::string::npos);
}

// A tier whose copies are all damaged.
class DamagedTier final : public ChunkSource {
 public:
  Result<ChunkView> Get(const ChunkRef& ref, const Want&) override {
    return ChunkView::Owned(Bytes(ref.stored_length));
  }
};

TEST(SharedCache, ADamagedTierIsPassedOverCountedAndHealedFromTheNext) {
  DamagedTier flash;
  MemorySource zone_cache;
  SharedDaemon daemon({}, {.flash = &flash,
                           .zone_cache = &zone_cache,
                           .zone_cache_sink = &zone_cache});
  const auto client = daemon.Client("a");
  const TestChunk chunk = MakeTestChunk(1);
  daemon.origin.Add(chunk);
  EXPECT_EQ(Must(client->Get(chunk.ref, WantAll(chunk))).Copy(), chunk.bytes);
  EXPECT_EQ(daemon.metrics.flash.corrupt.value(), 1u);
  EXPECT_EQ(daemon.metrics.zone_cache.misses.value(), 1u);
  EXPECT_EQ(daemon.metrics.origin.hits.value(), 1u);
  EXPECT_EQ(daemon.metrics.healed.value(), 1u);
  EXPECT_EQ(zone_cache.chunk_count(), 1u);
}

TEST(SharedCache, ASlowOriginDelaysNothingThatIsNear) {
  ServerOptions options;
  options.fetch = {.origin_requests = 1, .near_threads = 1};
  MemorySource zone_cache;
  SharedDaemon daemon(options, {.zone_cache = &zone_cache});
  const auto client = daemon.Client("a");
  const TestChunk far = MakeTestChunk(1);
  const TestChunk near = MakeTestChunk(2);
  daemon.origin.Add(far);
  zone_cache.Offer(near.ref, near.bytes);
  daemon.origin.SetOpen(false);
  std::jthread reader([&] {
    EXPECT_EQ(Must(client->Get(far.ref, WantAll(far))).Copy(), far.bytes);
  });
  daemon.origin.WaitForGets(1);
  EXPECT_EQ(Must(client->Get(near.ref, WantAll(near))).Copy(), near.bytes);
  daemon.origin.SetOpen(true);
}

TEST(FlashChunks, GivesBackWhatWasOfferedAndDropsWhatIsDamaged) {
  auto tier =
      Must(FlashTier::Open(MakeMemoryDevice(16 * kMiB), {}, SystemClock()));
  FlashTier& raw = *tier;
  FlashChunks flash(std::move(tier));
  const TestChunk good = MakeTestChunk(1);
  const TestChunk bad = MakeTestChunk(2);
  EXPECT_EQ(flash.Get(good.ref, WantAll(good)).error().code, Code::kNotFound);
  flash.Offer(good.ref, good.bytes);
  EXPECT_TRUE(flash.Contains(good.ref.name));
  EXPECT_EQ(Must(flash.Get(good.ref, WantAll(good))).Copy(), good.bytes);
  // Bytes that are not the name's, under good checksums of the tier.
  CacheValue value;
  value.bytes = SharedBytes::Copy(good.bytes);
  ASSERT_TRUE(
      raw.Put(AsText(bad.ref.name.digest()), value, FlashTier::WhenFull::kWait)
          .ok());
  EXPECT_EQ(flash.Get(bad.ref, WantAll(bad)).error().code, Code::kCorrupt);
  EXPECT_FALSE(flash.Contains(bad.ref.name));
  ChunkRef shorter = good.ref;
  shorter.stored_length += kPageSize;
  EXPECT_EQ(flash.Get(shorter, WantAll(good)).error().code, Code::kNotFound);
}

TEST(FlashChunks, TakesWhatMakesRoomInTheArena) {
  const Fd file = Must(MakeArenaFile());
  FlashChunks flash(
      Must(FlashTier::Open(MakeMemoryDevice(64 * kMiB), {}, SystemClock())));
  ArenaOptions options;
  options.wants_evicted = [&](const ChunkName& name) {
    return !flash.Contains(name);
  };
  options.take_evicted = [&](const ChunkName& name, ByteSpan bytes) {
    flash.OfferNamed(name, bytes);
  };
  const auto arena = Must(ArenaWriter::Open(file, 4 * kMiB, options));
  for (uint64_t i = 0; i < 20; ++i) {
    const TestChunk chunk = MakeTestChunk(i, kPagesPerChunk);
    ASSERT_TRUE(arena->Put(chunk.ref.name, chunk.bytes).ok());
  }
  for (uint64_t i = 0; i < 20; ++i) {
    const TestChunk chunk = MakeTestChunk(i, kPagesPerChunk);
    if (arena->Contains(chunk.ref.name, chunk.ref.stored_length)) continue;
    EXPECT_EQ(Must(flash.Get(chunk.ref, WantAll(chunk))).Copy(), chunk.bytes);
  }
}

TEST(ArenaFile, RefusesADiskAndNamesTheOneWhoHoldsIt) {
  const std::string disk =
      testing::TempDir() + "/arena-" + std::to_string(getpid());
  const std::string shm = "/dev/shm/morsel-test-" + std::to_string(getpid());
  ArenaPlace place{{}, shm, 4 * kMiB, 0};
  {
    const auto arena = OpenArena(place, {}, SystemClock());
    ASSERT_TRUE(arena.ok());
    EXPECT_EQ(OpenArena(place, {}, SystemClock()).error().code,
              Code::kUnavailable);
    const TestChunk chunk = MakeTestChunk(1);
    ASSERT_TRUE((*arena)->Put(chunk.ref.name, chunk.bytes).ok());
  }
  EXPECT_EQ(Must(OpenArena(place, {}, SystemClock()))->Stats().chunks, 1u);
  place.limit_bytes = 8 * kMiB;
  EXPECT_EQ(Must(OpenArena(place, {}, SystemClock()))->Stats().chunks, 0u);
  unlink(shm.c_str());
  place.path = disk;
  const auto refused = OpenArena(place, {}, SystemClock());
  if (!refused.ok()) {
    EXPECT_EQ(refused.error().code, Code::kInvalid);
  }
  unlink(disk.c_str());
}

}  // namespace
}  // namespace morsel
