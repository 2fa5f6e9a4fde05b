// SPDX-License-Identifier: Apache-2.0
// Serves a daemon's metrics: GET /metrics by HTTP, for Prometheus.
//
// One thread answers one request after another and closes; whoever takes more
// than a few seconds is cut off. It is opened before the daemon gives up its
// rights and started afterwards: serving needs accept4 and what every daemon
// may do. What it says is no secret, but it has no authentication either: give
// it an address that only the monitoring reaches.
//
// Thread safety: owned by one thread.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "base/fd.h"
#include "base/metrics.h"
#include "base/result.h"

namespace morsel {

class MetricsServer {
 public:
  // `address` is "HOST:PORT" with a numeric host ("[::1]:9464", "127.0.0.1:0")
  // or "unix:PATH". kInvalid: neither; kExists: somebody listens there;
  // kDenied, kIo.
  static Result<std::unique_ptr<MetricsServer>> Listen(
      const std::string& address);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  // `metrics` must outlive this.
  void Start(Metrics& metrics);
  // The port that was taken; 0 for a Unix socket.
  int port() const { return port_; }

 private:
  MetricsServer() = default;
  void Serve(Metrics& metrics);
  void Answer(const Fd& client, Metrics& metrics);

  Fd listener_;
  Fd stop_;
  int port_ = 0;
  std::jthread thread_;
};

}  // namespace morsel
