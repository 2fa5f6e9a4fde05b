// SPDX-License-Identifier: Apache-2.0
// The members of the zone cache in etcd 3.4 and newer, by its JSON gateway:
// each node keeps the key PREFIX + ADDRESS with its weight as the value, under
// a lease that it renews; each worker watches the prefix.
//
// A node that dies is gone from the list when its lease ends. While etcd does
// not answer the last list stays. An empty list is believed only while etcd
// says so.
//
// Thread safety: each object owns a thread; the rest by one thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "net/http_client.h"
#include "zonecache/ring.h"

namespace morsel {

struct EtcdOptions {
  std::string url = "http://127.0.0.1:2379";
  std::string prefix = "/morsel/zone/";
  std::string ca_file;  // for https; "": the system's
  // After so long without a renewal a node is gone.
  std::chrono::seconds lease{10};
  // Between attempts while etcd does not answer.
  std::chrono::milliseconds pause{1000};
};

// From Begin on it calls `on_change`, from its own thread, with each new list
// of nodes, until it is destroyed (which takes up to a second or two).
class EtcdMembership {
 public:
  using OnChange = std::function<void(const std::vector<NodeSpec>&)>;

  // kInvalid: the CA file.
  static Result<std::unique_ptr<EtcdMembership>> Watch(
      const EtcdOptions& options, OnChange on_change);
  ~EtcdMembership();
  // Once, after the process has given up its rights, if it does.
  void Begin();

 private:
  EtcdMembership(const EtcdOptions& options, OnChange on_change,
                 std::unique_ptr<HttpClient> http);
  void Work() EXCLUDES(mutex_);
  // Reads the list; the revision that it is of.
  Result<int64_t> Read();
  // Returns when something below the prefix is newer than `revision`.
  Status AwaitChange(int64_t revision);

  const EtcdOptions options_;
  const OnChange on_change_;
  const std::unique_ptr<HttpClient> http_;
  std::optional<std::vector<NodeSpec>> last_;
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  CondVar stopped_;
  std::jthread thread_;
};

// Keeps a node in the list as long as it lives.
class EtcdLease {
 public:
  // Begins at once, in the background. kInvalid: the CA file.
  static Result<std::unique_ptr<EtcdLease>> Keep(const EtcdOptions& options,
                                                 const std::string& address,
                                                 const std::string& weight);
  // Takes the node off the list.
  ~EtcdLease();

 private:
  EtcdLease(const EtcdOptions& options, const std::string& address,
            const std::string& weight, std::unique_ptr<HttpClient> http);
  void Work() EXCLUDES(mutex_);
  Status Register();
  Status Renew();

  const EtcdOptions options_;
  const std::string address_;
  const std::string weight_;
  const std::unique_ptr<HttpClient> http_;
  std::string lease_;  // its id; empty: none
  std::atomic<bool> stop_{false};
  Mutex mutex_;
  CondVar stopped_;
  std::jthread thread_;
};

}  // namespace morsel
