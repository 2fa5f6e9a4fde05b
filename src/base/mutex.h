// SPDX-License-Identifier: Apache-2.0
// Mutex, MutexLock and CondVar that Clang's thread-safety analysis knows
// (-Wthread-safety, preset `clang`). The only mutex in the tree: the checks
// that run with the tests refuse std::mutex elsewhere.
//
// Rule: no lock is held over I/O. Where two locks are ever taken together,
// the header that owns them states their order.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define MORSEL_TSA(x) __attribute__((x))
#else
#define MORSEL_TSA(x)
#endif

#define CAPABILITY(x) MORSEL_TSA(capability(x))
#define SCOPED_CAPABILITY MORSEL_TSA(scoped_lockable)
#define GUARDED_BY(x) MORSEL_TSA(guarded_by(x))
#define PT_GUARDED_BY(x) MORSEL_TSA(pt_guarded_by(x))
#define REQUIRES(...) MORSEL_TSA(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) MORSEL_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) MORSEL_TSA(release_capability(__VA_ARGS__))
#define EXCLUDES(...) MORSEL_TSA(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS MORSEL_TSA(no_thread_safety_analysis)

namespace morsel {

class CAPABILITY("mutex") Mutex {
 public:
  void Lock() ACQUIRE() { mutex_.lock(); }
  void Unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits are loops at the caller: `while (!ready) cv.Wait(mutex);`
class CondVar {
 public:
  void Wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False if `deadline` passed first.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point deadline)
      REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const auto status = condition_.wait_until(lock, deadline);
    lock.release();
    return status == std::cv_status::no_timeout;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace morsel
