// SPDX-License-Identifier: Apache-2.0
#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <utility>

namespace morsel {

JobPool::JobPool(size_t thread_count, size_t queue_limit)
    : queue_limit_(queue_limit) {
  CHECK(thread_count > 0 && queue_limit > 0);
  for (size_t i = 0; i < thread_count; ++i)
    threads_.emplace_back([this] { Work(); });
}

JobPool::~JobPool() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    queue_.clear();
  }
  changed_.NotifyAll();
}

Status JobPool::Submit(std::function<Status()> job) {
  MutexLock lock(mutex_);
  while (first_error_.ok() && queue_.size() >= queue_limit_)
    changed_.Wait(mutex_);
  if (!first_error_.ok()) return first_error_;
  queue_.push_back(std::move(job));
  changed_.NotifyAll();
  return Ok();
}

Status JobPool::Finish() {
  MutexLock lock(mutex_);
  while (running_ > 0 || (first_error_.ok() && !queue_.empty()))
    changed_.Wait(mutex_);
  queue_.clear();
  return std::exchange(first_error_, Ok());
}

void JobPool::Work() {
  mutex_.Lock();
  while (true) {
    while (!stop_ && (queue_.empty() || !first_error_.ok()))
      changed_.Wait(mutex_);
    if (stop_) break;
    std::function<Status()> job = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    mutex_.Unlock();
    Status status = job();
    job = nullptr;
    mutex_.Lock();
    --running_;
    if (!status.ok() && first_error_.ok()) first_error_ = std::move(status);
    changed_.NotifyAll();
  }
  mutex_.Unlock();
}

size_t UsableCores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return static_cast<size_t>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace morsel
