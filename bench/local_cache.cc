// SPDX-License-Identifier: Apache-2.0
// The local cache without FUSE around it: hits through the arena, and misses
// that a daemon in this process fetches from memory. Time for each, and against
// the work that cannot be left out: a CRC and a copy of the same bytes for a
// hit, SHA-256 of the chunk for a miss.
#include <array>
#include <chrono>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

#include "chunk/memory_source.h"
#include "crypto/hash.h"
#include "localcache/server.h"
#include "localcache/source.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

constexpr uint32_t kChunks = 256;

struct Chunk {
  ChunkRef ref;
  Bytes bytes;
};

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "%s\n", result.error().message.c_str());
    std::exit(1);
  }
  return std::move(result).value();
}

Chunk MakeChunk(uint64_t seed) {
  std::mt19937_64 random(seed);
  Chunk chunk;
  chunk.bytes.resize(kChunkSize);
  for (size_t at = 0; at < chunk.bytes.size(); at += 8)
    StoreLe<uint64_t>(chunk.bytes.data() + at, random());
  chunk.ref = {ChunkName(Sha256Of(chunk.bytes)), "r1", kChunkSize};
  return chunk;
}

// Microseconds of one call, the mean of many.
template <typename Function>
double Time(uint32_t count, Function function) {
  const auto begun = SystemClock().Now();
  for (uint32_t i = 0; i < count; ++i) function(i);
  return std::chrono::duration<double, std::micro>(SystemClock().Now() - begun)
             .count() /
         count;
}

void Row(const std::string& what, double ours, double floor) {
  std::printf("%-40s %8.2f us; %.2f x the floor of %.2f us\n", what.c_str(),
              ours, ours / floor, floor);
}

void BenchHits(LocalCacheSource& client, const std::vector<Chunk>& chunks) {
  Bytes out(kChunkSize);
  for (const uint32_t length : {4096u, 131072u, kChunkSize}) {
    const uint32_t count = length == 4096 ? 400'000 : 20'000;
    std::mt19937_64 random(1);
    const double ours = Time(count, [&](uint32_t) {
      const Chunk& chunk = chunks[random() % kChunks];
      const auto offset =
          static_cast<uint32_t>(random() % (kChunkSize / length) * length);
      const Want want{Deadline::max(), Urgency::kDemand, offset, length};
      const ChunkView view = Must(client.Get(chunk.ref, want));
      for (uint32_t done = 0; done < length;) {
        const ByteSpan run = view.Run(offset + done, length - done);
        std::copy(run.begin(), run.end(), out.begin() + done);
        done += static_cast<uint32_t>(run.size());
      }
      if (!view.still_valid()) std::exit(1);
    });
    uint32_t sum = 0;
    const double floor = Time(count, [&](uint32_t) {
      const Chunk& chunk = chunks[random() % kChunks];
      const size_t offset = random() % (kChunkSize / length) * length;
      for (size_t page = 0; page < length; page += kPageSize)
        sum += Crc32c(ByteSpan(chunk.bytes).subspan(offset + page, kPageSize));
      std::copy_n(chunk.bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                  length, out.begin());
    });
    if (sum == 0) std::printf("\n");
    Row("hit, " + std::to_string(length / 1024) + " KiB", ours, floor);
  }
}

int Main() {
  std::vector<Chunk> chunks;
  MemorySource origin;
  for (uint64_t i = 0; i < kChunks; ++i) {
    chunks.push_back(MakeChunk(i));
    origin.Offer(chunks.back().ref, chunks.back().bytes);
  }
  const Fd file = Must(MakeArenaFile());
  const auto arena = Must(ArenaWriter::Open(file, 256 * kMiB));
  Metrics all;
  LocalCacheMetrics metrics(all);
  auto pair = Must(MakeSocketPair());
  ServerEndpoints endpoints;
  endpoints.clients.push_back(std::move(pair.second));
  const auto server =
      Must(LocalCacheServer::Make({}, {.origin = &origin}, *arena, metrics,
                                  SystemClock(), std::move(endpoints)));
  std::jthread thread([&] { (void)server->Run(); });
  {
    const auto client = Must(LocalCacheSource::Open(
        Must(LocalCacheSource::Handshake(std::move(pair.first)))));
    const Want want{SystemClock().Now() + std::chrono::minutes(5),
                    Urgency::kDemand, 0, kChunkSize};
    const double miss = Time(kChunks, [&](uint32_t i) {
      (void)Must(client->Get(chunks[i].ref, want));
    });
    const double hash = Time(kChunks, [&](uint32_t i) {
      if (!chunks[i].ref.name.Matches(chunks[i].bytes)) std::exit(1);
    });
    Row("miss, 512 KiB from memory", miss, hash);
    BenchHits(*client, chunks);
  }
  return 0;
}

}  // namespace
}  // namespace morsel

int main() { return morsel::Main(); }
