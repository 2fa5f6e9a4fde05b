// SPDX-License-Identifier: Apache-2.0
// For tests: a daemon and a client of it, over real sockets, in one process.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "localcache/protocol.h"
#include "localcache/server.h"
#include "localcache/source.h"
#include "localcache/test_chunks.h"
#include "net/unix_socket.h"

namespace morsel {

// A daemon in a thread, which serves from the moment it exists.
class Daemon {
 public:
  Daemon(const Fd& arena_file, MemoryOrigin& origin, ServerOptions options = {},
         uint64_t limit = 16 * kMiB)
      : arena_(Must(ArenaWriter::Open(arena_file, limit))) {
    auto control = Must(MakeSocketPair());
    control_ = std::move(control.first);
    ServerEndpoints endpoints{std::move(control.second), {}, {}};
    server_ = Must(LocalCacheServer::Make(options, {.origin = &origin}, *arena_,
                                          metrics_, SystemClock(),
                                          std::move(endpoints)));
    thread_ = std::jthread([this] { EXPECT_TRUE(server_->Run().ok()); });
  }
  ~Daemon() { control_.Close(); }

  // As if its guard had ended: until Run has returned.
  void End() {
    control_.Close();
    thread_.join();
  }

  Fd Connect() const {
    auto pair = Must(MakeSocketPair());
    EXPECT_TRUE(SendNewClient(control_.get(), pair.second).ok());
    return std::move(pair.first);
  }
  LocalCacheChannel Channel() const {
    return Must(LocalCacheSource::Handshake(Connect()));
  }
  std::unique_ptr<LocalCacheSource> Client() const {
    return Must(LocalCacheSource::Open(Channel()));
  }
  LocalCacheServer& server() { return *server_; }
  const LocalCacheMetrics& metrics() const { return metrics_; }
  ArenaWriter& arena() { return *arena_; }

 private:
  std::unique_ptr<ArenaWriter> arena_;
  Metrics all_metrics_;
  LocalCacheMetrics metrics_{all_metrics_};
  Fd control_;
  std::unique_ptr<LocalCacheServer> server_;
  std::jthread thread_;
};

struct TestCache {
  explicit TestCache(ServerOptions options = {}, uint64_t limit = 16 * kMiB)
      : daemon(std::make_unique<Daemon>(file, origin, options, limit)),
        client(daemon->Client()) {}

  TestChunk AddChunk(uint64_t number, uint32_t pages = 0) {
    TestChunk chunk = MakeTestChunk(number, pages);
    origin.Add(chunk);
    return chunk;
  }
  // The bytes that a read gives, or its error.
  Result<Bytes> Read(const TestChunk& chunk) const {
    ASSIGN_OR_RETURN(const ChunkView view,
                     client->Get(chunk.ref, WantAll(chunk)));
    Bytes bytes = view.Copy();
    EXPECT_TRUE(view.still_valid());
    return bytes;
  }

  Fd file = Must(MakeArenaFile());
  MemoryOrigin origin;
  std::unique_ptr<Daemon> daemon;
  std::unique_ptr<LocalCacheSource> client;
};

}  // namespace morsel
