// SPDX-License-Identifier: Apache-2.0
// FaultProxy: a TCP proxy that delays, damages, swallows or refuses what a
// server answers. For tests and benchmarks: the machine's own network has no
// such faults to order.
//
// Thread safety: thread-safe. It owns a thread, and two for each connection.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"

namespace morsel {

class FaultProxy {
 public:
  // Listens on a port of its own and connects to `target` for each connection.
  static Result<std::unique_ptr<FaultProxy>> Start(const std::string& target);
  // Ends all connections.
  ~FaultProxy();
  FaultProxy(const FaultProxy&) = delete;
  FaultProxy& operator=(const FaultProxy&) = delete;

  // Where to connect: "127.0.0.1:port".
  const std::string& address() const { return address_; }

  // Each answer leaves so much later than it came.
  void Delay(std::chrono::milliseconds delay) { delay_ms_ = delay.count(); }
  // One byte is flipped in each run of more than 64 bytes.
  void Damage(bool on) { damage_ = on; }
  // Answers are thrown away: the node hangs.
  void Swallow(bool on) { swallow_ = on; }
  // Connections are closed as soon as they come, and those that there are.
  void Refuse(bool on) EXCLUDES(mutex_);

 private:
  struct Link {
    Fd client;
    Fd server;
    std::atomic<int> running{2};
    std::jthread up;
    std::jthread down;
  };

  FaultProxy(Fd listener, std::string target, std::string address);

  void Accept() EXCLUDES(mutex_);
  void Begin(Fd client) EXCLUDES(mutex_);
  void CopyUp(Link& link);
  void CopyDown(Link& link) EXCLUDES(mutex_);
  // Waits; false if the proxy ends first.
  bool Pause(std::chrono::steady_clock::time_point until) EXCLUDES(mutex_);
  void CloseAll() EXCLUDES(mutex_);

  const Fd listener_;
  const std::string target_;
  const std::string address_;
  std::atomic<int64_t> delay_ms_{0};
  std::atomic<bool> damage_{false};
  std::atomic<bool> swallow_{false};
  std::atomic<bool> refuse_{false};
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  CondVar stopped_;
  std::list<Link> links_ GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace morsel
