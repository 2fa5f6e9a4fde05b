// SPDX-License-Identifier: Apache-2.0
// A bounded pool that runs jobs on several threads and keeps the first error.
//
// Thread safety: Submit and Finish are called by one thread, the owner.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"

namespace morsel {

class JobPool {
 public:
  // At most `queue_limit` jobs wait: Submit blocks while they do.
  JobPool(size_t thread_count, size_t queue_limit);
  // Waits for the jobs that run; those still queued are dropped.
  ~JobPool();
  JobPool(const JobPool&) = delete;
  JobPool& operator=(const JobPool&) = delete;

  // Queues `job`. After the first failure jobs are dropped and Submit returns
  // that error at once.
  Status Submit(std::function<Status()> job) EXCLUDES(mutex_);
  // Waits until every job has run; the first error, if any. The pool can be
  // used again.
  Status Finish() EXCLUDES(mutex_);

 private:
  void Work() EXCLUDES(mutex_);

  const size_t queue_limit_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<Status()>> queue_ GUARDED_BY(mutex_);
  size_t running_ GUARDED_BY(mutex_) = 0;
  bool stop_ GUARDED_BY(mutex_) = false;
  Status first_error_ GUARDED_BY(mutex_);
  std::vector<std::jthread> threads_;
};

// The number of threads that compute: the cores that this process may use.
size_t UsableCores();

}  // namespace morsel
