// SPDX-License-Identifier: Apache-2.0
// LocalCacheSource::Prefetch: chunks that come before anybody reads them.
#include <gtest/gtest.h>

#include "localcache/test_cache.h"

namespace morsel {
namespace {

// Until the client has heard that they came.
void AwaitLoaded(const TestCache& cache, uint64_t count) {
  while (cache.client->Stats().chunks_loaded < count) std::this_thread::yield();
}

TEST(LocalCache, PrefetchesComeOnceAndAreHits) {
  TestCache cache;
  std::vector<TestChunk> chunks;
  std::vector<ChunkRef> refs;
  for (uint64_t i = 0; i < 20; ++i) {
    chunks.push_back(cache.AddChunk(i, 1));
    refs.push_back(chunks.back().ref);
  }
  ASSERT_TRUE(cache.Read(chunks[0]).ok());
  cache.client->Prefetch(refs);
  AwaitLoaded(cache, 20);
  for (const TestChunk& chunk : chunks) EXPECT_TRUE(cache.Read(chunk).ok());
  EXPECT_EQ(cache.origin.gets(), 20);
  const LocalCacheStats stats = cache.client->Stats();
  EXPECT_EQ(stats.hits, 20u);
  EXPECT_EQ(stats.prefetched, 19u);  // the first was there
  EXPECT_EQ(stats.chunks_loaded, 20u);
  EXPECT_EQ(stats.bytes_loaded, 20 * kPageSize);
}

TEST(LocalCache, AReadThatMeetsItsPrefetchLoadsItOnce) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  cache.origin.SetOpen(false);
  cache.client->Prefetch({chunk.ref});
  cache.origin.WaitForGets(1);
  std::jthread reader([&] { EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes); });
  while (cache.client->Stats().misses == 0) std::this_thread::yield();
  cache.origin.SetOpen(true);
  reader.join();
  EXPECT_EQ(cache.origin.gets(), 1);
  AwaitLoaded(cache, 1);
  EXPECT_EQ(cache.client->Stats().bytes_loaded, chunk.ref.stored_length);
  EXPECT_EQ(cache.client->Stats().chunks_loaded, 1u);
}

TEST(LocalCache, PrefetchesBeginWithTheDaemonAndFailuresAreForgotten) {
  TestCache cache;
  const TestChunk chunk = cache.AddChunk(1);
  const TestChunk lost = MakeTestChunk(2, 1);
  const auto client = Must(LocalCacheSource::Open(std::nullopt));
  client->Prefetch({lost.ref, chunk.ref});
  EXPECT_EQ(client->Stats().prefetched, 0u);
  ASSERT_TRUE(client->Replace(cache.daemon->Channel()).ok());
  cache.origin.WaitForGets(2);
  EXPECT_EQ(Must(client->Get(chunk.ref, WantAll(chunk))).Copy(), chunk.bytes);
  EXPECT_EQ(client->Stats().prefetched, 2u);
  EXPECT_EQ(client->Get(lost.ref, WantAll(lost)).error().code, Code::kNotFound);
}

// More than may be in flight, and than a socket holds: all come in the end.
TEST(LocalCache, ManyPrefetchesComeAFewAtATime) {
  ServerOptions options;
  options.requests_per_client = 100;
  TestCache cache(options, 256 * kMiB);
  std::vector<ChunkRef> refs;
  for (uint64_t i = 0; i < 900; ++i) refs.push_back(cache.AddChunk(i, 1).ref);
  cache.client->Prefetch(refs);
  AwaitLoaded(cache, 900);
  EXPECT_EQ(cache.client->Stats().prefetched, 900u);
}

// A chunk of one page takes a piece of 64 KiB.
TEST(LocalCache, PrefetchesOfAClientTakeHalfOfTheArenaAtMost) {
  TestCache cache({}, 16 * kMiB);
  std::vector<ChunkRef> refs;
  for (uint64_t i = 0; i < 300; ++i) refs.push_back(cache.AddChunk(i, 1).ref);
  cache.client->Prefetch(refs);
  AwaitLoaded(cache, 128);
  while (cache.client->Stats().prefetched < 300) std::this_thread::yield();
  // It is asked for after all of them, so all of them are answered.
  const TestChunk chunk = cache.AddChunk(1000);
  EXPECT_EQ(Must(cache.Read(chunk)), chunk.bytes);
  EXPECT_EQ(cache.origin.gets(), 129);
}

TEST(LocalCache, ADaemonEndsThoughPrefetchesHang) {
  ServerOptions options;
  options.fetch.origin_requests = 2;  // of which prefetches take one
  TestCache cache(options);
  cache.origin.SetOpen(false);
  std::vector<ChunkRef> refs;
  for (uint64_t i = 0; i < 10; ++i) refs.push_back(cache.AddChunk(i, 1).ref);
  cache.client->Prefetch(refs);
  cache.origin.WaitForGets(1);
  cache.daemon->End();
  EXPECT_TRUE(cache.daemon->server().IsPrefetching());
  cache.origin.SetOpen(true);
  cache.daemon.reset();
  EXPECT_EQ(cache.origin.gets(), 1);
}

TEST(LocalCache, WhatAClientThatIsGoneWantedAheadIsNotFetched) {
  ServerOptions options;
  options.fetch.origin_requests = 2;
  TestCache cache(options);
  const auto other = cache.daemon->Client();
  cache.origin.SetOpen(false);
  std::vector<ChunkRef> refs;
  for (uint64_t i = 0; i < 10; ++i) refs.push_back(cache.AddChunk(i, 1).ref);
  cache.client->Prefetch(refs);
  cache.origin.WaitForGets(1);
  other->Prefetch({refs[9]});
  cache.client.reset();
  while (cache.daemon->metrics().clients.value() != 1)
    std::this_thread::yield();
  cache.origin.SetOpen(true);
  while (other->Stats().chunks_loaded == 0) std::this_thread::yield();
  EXPECT_EQ(cache.origin.gets(), 2);  // the one that was running, and refs[9]
}

}  // namespace
}  // namespace morsel
