// SPDX-License-Identifier: Apache-2.0
// Daemon and client together, over real sockets, in one process.
#include "localcache/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "localcache/protocol.h"
#include "localcache/source.h"
#include "localcache/test_cache.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Flips one byte of the chunk wherever it lies in the arena.
void Damage(const Fd& arena, const TestChunk& chunk) {
  const uint64_t size = Must(FileSize(arena.get()));
  Bytes page(kPageSize);
  for (uint64_t at = 0; at < size; at += kPageSize) {
    ASSERT_TRUE(ReadFullAt(arena.get(), at, page).ok());
    if (!std::equal(page.begin(), page.end(), chunk.bytes.begin())) continue;
    page[17] ^= std::byte{1};
    ASSERT_TRUE(WriteFullAt(arena.get(), at, page).ok());
    return;
  }
  FAIL() << "the chunk is not in the arena";
}

TEST(LocalCache, AClientWithoutADaemonWaitsForOne) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  const auto client = Must(LocalCacheSource::Open(std::nullopt));
  EXPECT_FALSE(client->IsConnected());
  Want want = WantAll(chunk);
  want.deadline = SystemClock().Now() + milliseconds(50);
  const auto none = client->Get(chunk.ref, want);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kTimeout);
  ASSERT_TRUE(client->Replace(cache.daemon->Channel()).ok());
  EXPECT_TRUE(client->IsConnected());
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(Must(client->Get(chunk.ref, WantAll(chunk))).Copy(), chunk.bytes);
  EXPECT_EQ(client->Stats().hits, 1u);
}

TEST(LocalCache, AMissIsFetchedOnceAndHitAfterwards) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
  EXPECT_EQ(cache.origin.gets(), 1);
  const LocalCacheStats stats = cache.client->Stats();
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.hits, 4u);
  EXPECT_EQ(stats.bytes_loaded, chunk.ref.stored_length);
  const auto other = cache.daemon->Client();
  EXPECT_TRUE(other->Get(chunk.ref, WantAll(chunk)).ok());
  EXPECT_EQ(cache.origin.gets(), 1);
}

TEST(LocalCache, OneFlightServesAllWhoWait) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  cache.origin.SetOpen(false);
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 6; ++i)
      readers.emplace_back(
          [&] { EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes); });
    cache.origin.WaitForGets(1);
    cache.origin.SetOpen(true);
  }
  EXPECT_EQ(cache.origin.gets(), 1);
}

TEST(LocalCache, NeverAsksTheOriginForMoreAtOnceThanItMay) {
  ServerOptions options;
  options.fetch.origin_requests = 2;
  TestCache cache(options);
  std::vector<TestChunk> chunks;
  for (uint64_t i = 0; i < 12; ++i) chunks.push_back(cache.AddChunk(i, 4));
  {
    std::vector<std::jthread> readers;
    for (const TestChunk& chunk : chunks)
      readers.emplace_back(
          [&] { EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes); });
  }
  EXPECT_LE(cache.origin.most_at_once(), 2);
  EXPECT_EQ(cache.origin.gets(), 12);
}

TEST(LocalCache, AWantOfOwnBytesGetsThemWhetherCachedOrNot) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1, kPagesPerChunk);
  Want want = WantAll(chunk);
  want.owned = true;
  for (int i = 0; i < 3; ++i) {
    const auto view = cache.client->Get(chunk.ref, want);
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->Run(0, kChunkSize).size(), kChunkSize);
    EXPECT_EQ(view->Copy(), chunk.bytes);
  }
  EXPECT_EQ(cache.origin.gets(), 1);
}

TEST(LocalCache, SaysWhatTheOriginLacksOrHasDamaged) {
  TestCache cache;
  const TestChunk missing = MakeTestChunk(1);
  EXPECT_EQ(cache.Read(missing).error().code, Code::kNotFound);
  TestChunk flipped = MakeTestChunk(2);
  flipped.bytes[99] ^= std::byte{4};
  cache.origin.Add(flipped);
  const auto damaged = cache.Read(flipped);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code, Code::kCorrupt);
  EXPECT_THAT(damaged.error().message,
              testing::AllOf(testing::HasSubstr(flipped.ref.name.ToString()),
                             testing::HasSubstr("origin")));
  TestChunk cut = MakeTestChunk(3, 9);
  cut.bytes.resize(cut.bytes.size() - 1);
  cache.origin.Add(cut);
  EXPECT_EQ(cache.Read(cut).error().code, Code::kCorrupt);
  EXPECT_EQ(cache.daemon->metrics().origin.corrupt.value(), 2u);
  EXPECT_EQ(cache.daemon->arena().Stats().chunks, 0u);
}

TEST(LocalCache, AFlightTriesEachWaitersRoot) {
  TestCache cache;
  TestChunk chunk = cache.AddChunk(1);
  TestChunk elsewhere = chunk;
  elsewhere.ref.root = "r0";
  cache.origin.SetOpen(false);
  std::jthread first([&] { EXPECT_TRUE(cache.Read(elsewhere).ok()); });
  cache.origin.WaitForGets(1);
  std::jthread second([&] { EXPECT_TRUE(cache.Read(chunk).ok()); });
  while (cache.daemon->metrics().requests.value() < 2)
    std::this_thread::yield();
  cache.origin.SetOpen(true);
}

TEST(LocalCache, ADeadlineEndsAWait) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  cache.origin.SetOpen(false);
  Want want = WantAll(chunk);
  want.deadline = In(milliseconds(30));
  EXPECT_EQ(cache.client->Get(chunk.ref, want).error().code, Code::kTimeout);
  cache.origin.SetOpen(true);
  EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
}

TEST(LocalCache, AnOriginThatComesBackEndsTheWait) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  cache.origin.FailWith(MakeError(Code::kUnavailable, "gone for lunch"));
  Want want = WantAll(chunk);
  // On a busy machine no answer at all may come in a second.
  std::string message;
  for (int wait = 1; message.find("gone for lunch") == message.npos;
       wait *= 2) {
    ASSERT_LE(wait, 64) << message;
    want.deadline = In(seconds(wait));
    const auto failed = cache.client->Get(chunk.ref, want);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, Code::kTimeout);
    message = failed.error().message;
  }
  const int before = cache.origin.gets();
  std::jthread reader([&] { EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes); });
  cache.origin.WaitForGets(before + 1);
  cache.origin.FailWith(std::nullopt);
}

TEST(LocalCache, ADamagedPageIsReportedDroppedAndFetchedAgain) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  EXPECT_TRUE(cache.Read(chunk).ok());
  Damage(cache.file, chunk);
  EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
  EXPECT_EQ(cache.client->Stats().bad_pages, 1u);
  EXPECT_EQ(cache.daemon->metrics().arena.corrupt.value(), 1u);
  EXPECT_EQ(cache.origin.gets(), 2);
  // One who asks for the bytes themselves does not get damaged ones either.
  Damage(cache.file, chunk);
  Want want = WantAll(chunk);
  want.owned = true;
  EXPECT_EQ(Must(cache.client->Get(chunk.ref, want)).Copy(), chunk.bytes);
}

TEST(LocalCache, AWorkingSetLargerThanTheArenaIsServedAllTheSame) {
  TestCache cache({}, 4 * kMiB);
  std::vector<TestChunk> chunks;
  for (uint64_t i = 0; i < 30; ++i)
    chunks.push_back(cache.AddChunk(i, kPagesPerChunk));
  for (int round = 0; round < 2; ++round)
    for (const TestChunk& chunk : chunks)
      EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
  const ArenaStats stats = cache.daemon->arena().Stats();
  EXPECT_LE(stats.allocated_bytes, 4 * kMiB);
  EXPECT_GT(stats.evictions, 0u);
}

TEST(LocalCache, HitsGoOnWithoutTheDaemonAndMissesWaitForTheNext) {
  TestCache cache;
  const TestChunk cached = cache.AddChunk(1);
  const TestChunk missing = cache.AddChunk(2);
  EXPECT_TRUE(cache.Read(cached).ok());
  cache.origin.SetOpen(false);
  std::jthread waits(
      [&] { EXPECT_EQ(Must(cache.Read(missing)), missing.bytes); });
  cache.origin.WaitForGets(2);
  // It dies while the miss waits. (In a process of its own it would take its
  // flight with it; here the flight must end first.)
  std::jthread death([&] { cache.daemon.reset(); });
  EXPECT_EQ(Must(cache.Read(cached)), cached.bytes);
  cache.origin.SetOpen(true);
  death.join();
  EXPECT_EQ(Must(cache.Read(cached)), cached.bytes);
  const TestChunk later = cache.AddChunk(3);
  Want brief = WantAll(later);
  brief.deadline = In(milliseconds(20));
  EXPECT_EQ(cache.client->Get(later.ref, brief).error().code, Code::kTimeout);

  std::jthread waits_too(
      [&] { EXPECT_EQ(Must(cache.Read(later)), later.bytes); });
  cache.daemon = std::make_unique<Daemon>(cache.file, cache.origin);
  ASSERT_TRUE(cache.client->Replace(cache.daemon->Channel()).ok());
  const int gets = cache.origin.gets();
  EXPECT_EQ(Must(cache.Read(cached)), cached.bytes);
  waits_too.join();
  EXPECT_LE(cache.origin.gets(), gets + 1);
}

TEST(LocalCache, ANewArenaTakesOverWhileOldViewsStayGood) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  EXPECT_TRUE(cache.Read(chunk).ok());
  auto view = cache.client->Get(chunk.ref, WantAll(chunk));
  ASSERT_TRUE(view.ok());
  cache.daemon.reset();
  const Fd other = Must(MakeArenaFile());
  cache.daemon = std::make_unique<Daemon>(other, cache.origin);
  ASSERT_TRUE(cache.client->Replace(cache.daemon->Channel()).ok());
  EXPECT_EQ(view->Copy(), chunk.bytes);
  EXPECT_TRUE(view->still_valid());
  EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
  EXPECT_EQ(cache.origin.gets(), 2);
}

TEST(LocalCache, AChannelOfAnotherLayoutIsRefusedAndTheOldOneStays) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  LocalCacheChannel channel = cache.daemon->Channel();
  channel.arena = Must(MakeMemoryFile("junk", Bytes(3 * kMiB)));
  EXPECT_EQ(cache.client->Replace(std::move(channel)).error().code,
            Code::kInvalid);
  EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
}

TEST(LocalCache, ReadsThroughManyThreadsAndReplacementsAreRight) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  TestCache cache({}, 4 * kMiB);
  std::vector<TestChunk> chunks;
  for (uint64_t i = 0; i < 20; ++i) chunks.push_back(cache.AddChunk(seed + i));
  const auto read = [&](uint64_t thread) {
    std::mt19937_64 random(seed + thread);
    for (int i = 0; i < 300; ++i) {
      const TestChunk& chunk = chunks[random() % chunks.size()];
      Want want = WantAll(chunk);
      want.owned = random() % 16 == 0;
      auto view = cache.client->Get(chunk.ref, want);
      ASSERT_TRUE(view.ok()) << view.error().message;
      const Bytes copy = view->Copy();
      if (view->still_valid()) {
        EXPECT_EQ(copy, chunk.bytes);
      }
    }
  };
  std::vector<std::jthread> readers;
  for (uint64_t i = 0; i < 4; ++i) readers.emplace_back(read, i);
  for (int i = 0; i < 5; ++i) {
    cache.daemon.reset();
    cache.daemon = std::make_unique<Daemon>(cache.file, cache.origin,
                                            ServerOptions{}, 4 * kMiB);
    ASSERT_TRUE(cache.client->Replace(cache.daemon->Channel()).ok());
  }
}

TEST(LocalCache, AHostileClientIsCutOffAndOthersAreServed) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  std::array<std::byte, 1024> buffer;
  const Deadline deadline = In(seconds(60));
  std::vector<Bytes> packets = {Bytes(1), Bytes(kMaxPacket + 100),
                                Encode(DoneMessage{}),
                                Encode(GetMessage{1, chunk.ref})};
  for (const Bytes& packet : packets) {
    const Fd socket = cache.daemon->Connect();
    ASSERT_TRUE(SendMessage(socket.get(), packet, {}, deadline).ok());
    EXPECT_EQ(ReceiveMessage(socket.get(), buffer, deadline).error().code,
              Code::kUnavailable);
  }
  LocalCacheChannel channel = cache.daemon->Channel();
  const int greeted = channel.socket.get();
  ASSERT_TRUE(SendMessage(greeted, Encode(HelloMessage{}), {}, deadline).ok());
  EXPECT_EQ(ReceiveMessage(greeted, buffer, deadline).error().code,
            Code::kUnavailable);
  EXPECT_EQ(cache.daemon->metrics().bad_messages.value(), 5u);
  EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
}

TEST(LocalCache, AClientThatDoesNotReadIsClosed) {
  ServerOptions options;
  options.unread_bytes_per_client = kMiB;
  TestCache cache(options);
  const TestChunk chunk = cache.AddChunk(1, kPagesPerChunk);
  LocalCacheChannel channel = cache.daemon->Channel();
  const Deadline deadline = In(seconds(60));
  Status sent = Ok();
  for (uint64_t id = 0; sent.ok(); ++id)
    sent = SendMessage(
        channel.socket.get(),
        Encode(GetMessage{id, chunk.ref, Urgency::kDemand, true, false, 9999}),
        {}, deadline);
  ASSERT_FALSE(sent.ok());
  EXPECT_EQ(sent.error().code, Code::kUnavailable);
  EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
}

TEST(LocalCache, TooManyRequestsOfOneClientAreRefused) {
  ServerOptions options;
  options.requests_per_client = 2;
  TestCache cache(options);
  cache.origin.SetOpen(false);
  LocalCacheChannel channel = cache.daemon->Channel();
  const Deadline deadline = In(seconds(60));
  for (uint64_t id = 0; id < 3; ++id)
    ASSERT_TRUE(
        SendMessage(channel.socket.get(),
                    Encode(GetMessage{id, cache.AddChunk(id).ref,
                                      Urgency::kDemand, false, false, 60000}),
                    {}, deadline)
            .ok());
  Bytes buffer(kMaxPacket);
  const auto answer = ReceiveMessage(channel.socket.get(), buffer, deadline);
  ASSERT_TRUE(answer.ok());
  const auto parsed =
      ParseDaemonMessage(ByteSpan(buffer).first(answer->byte_count));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(std::get<DoneMessage>(*parsed).id, 2u);
  EXPECT_EQ(std::get<DoneMessage>(*parsed).error->code, Code::kExhausted);
  cache.origin.SetOpen(true);
}

TEST(LocalCache, AnotherVersionIsRefusedOnBothSides) {
  TestCache cache;
  const Deadline deadline = In(seconds(60));
  std::array<std::byte, 64> buffer;
  const Fd socket = cache.daemon->Connect();
  ASSERT_TRUE(
      SendMessage(socket.get(), Encode(HelloMessage{99}), {}, deadline).ok());
  const auto welcome = ReceiveMessage(socket.get(), buffer, deadline);
  ASSERT_TRUE(welcome.ok());
  EXPECT_TRUE(welcome->fds.empty());

  auto pair = Must(MakeSocketPair());
  ASSERT_TRUE(
      SendMessage(pair.second.get(), Encode(WelcomeMessage{99}), {}, deadline)
          .ok());
  EXPECT_EQ(LocalCacheSource::Handshake(std::move(pair.first)).error().code,
            Code::kInvalid);
  auto dead = Must(MakeSocketPair());
  dead.second.Close();
  EXPECT_EQ(LocalCacheSource::Handshake(std::move(dead.first)).error().code,
            Code::kUnavailable);
}

TEST(LocalCache, ADaemonThatTalksNonsenseIsGivenUp) {
  TestCache cache;
  LocalCacheChannel channel = cache.daemon->Channel();
  auto pair = Must(MakeSocketPair());
  channel.socket = std::move(pair.first);
  const auto client = Must(LocalCacheSource::Open(std::move(channel)));
  const Deadline deadline = In(seconds(60));
  ASSERT_TRUE(SendMessage(pair.second.get(), Bytes(7), {}, deadline).ok());
  std::array<std::byte, 64> buffer;
  EXPECT_EQ(ReceiveMessage(pair.second.get(), buffer, deadline).error().code,
            Code::kUnavailable);
  const TestChunk chunk = cache.AddChunk(1);
  std::jthread reader([&] {
    EXPECT_EQ(Must(client->Get(chunk.ref, WantAll(chunk))).Copy(), chunk.bytes);
  });
  ASSERT_TRUE(client->Replace(cache.daemon->Channel()).ok());
}

TEST(LocalCache, WithoutAControlSocketItEndsWithItsLastClient) {
  const Fd file = Must(MakeArenaFile());
  const auto arena = Must(ArenaWriter::Open(file, 4 * kMiB));
  MemoryOrigin origin;
  auto pair = Must(MakeSocketPair());
  ServerEndpoints endpoints;
  endpoints.clients.push_back(std::move(pair.second));
  Metrics all_metrics;
  LocalCacheMetrics metrics(all_metrics);
  const auto server =
      Must(LocalCacheServer::Make({}, {.origin = &origin}, *arena, metrics,
                                  SystemClock(), std::move(endpoints)));
  std::jthread thread([&] { EXPECT_TRUE(server->Run().ok()); });
  {
    LocalCacheChannel channel =
        Must(LocalCacheSource::Handshake(std::move(pair.first)));
  }
  thread.join();
}

TEST(LocalCache, StopAnswersWhatWasAsked) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  cache.origin.SetOpen(false);
  std::jthread reader([&] { EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes); });
  cache.origin.WaitForGets(1);
  cache.daemon->server().Stop();
  cache.origin.SetOpen(true);
}

}  // namespace
}  // namespace morsel
