// SPDX-License-Identifier: Apache-2.0
// The leases of attached devices, and where their images are now.
//
// A collector moves an image to another root, and deletes the one where it was
// when its device was attached. So the local cache holds a lease for each
// manifest that a client has (origin/lease.h), which keeps it from being
// collected though its tag moved on, and renews it each third of the lease
// period. Each renewal tells where the manifest is now, and counts as a read of
// that root, as hits hide the others. Who does not find a chunk asks again
// (Follow) before it gives up.
//
// The store may be away, or may not be written by this process: then devices
// read on, follow their image as far as it can be read, and it is logged, once.
//
// A lease is ended a while after the last client of its manifest has gone, as
// a child that died is followed by another; after a death of this process it
// ends by itself.
//
// Thread safety: thread-safe. One thread of its own does the store's work.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "localcache/tier_metrics.h"
#include "origin/lease.h"
#include "store/object_store.h"

namespace morsel {

struct LeaseOptions {
  std::string worker = "unnamed";  // IsHolderName; no other process has it
  std::chrono::seconds period = kLeasePeriod;
  std::chrono::seconds linger{30};  // after the last client has gone
};

class LeaseKeeper {
 public:
  // All must outlive it.
  LeaseKeeper(ObjectStore& store, Clock& clock, LocalCacheMetrics& metrics,
              LeaseOptions options);
  // Leases stay: the devices may do so too.
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  // Begins to work, by a thread of its own.
  void Start();
  // One more client; the first one's lease is due at once. `root` is where the
  // manifest was when the client was told. Requires: IsManifestId.
  void Attach(const std::string& manifest_id, const std::string& root)
      EXCLUDES(mutex_);
  // Requires: attached.
  void Detach(const std::string& manifest_id) EXCLUDES(mutex_);

  // Where an attached manifest is, as far as is known; else nothing.
  std::optional<std::string> RootOf(const std::string& manifest_id)
      EXCLUDES(mutex_);
  // For who did not find a chunk of it in `root`: where it is, looked up anew
  // if that is what was known. kNotFound: it was collected.
  Result<std::string> Follow(const std::string& manifest_id,
                             const std::string& root) EXCLUDES(mutex_);

  // Does what is due, one after the other; when there is more to do. For the
  // thread, and for tests, which have none.
  Deadline DoWhatIsDue() EXCLUDES(mutex_);
  // Stops working and ends every lease: for who ends with its devices.
  void EndAll() EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string root;
    uint64_t clients = 0;
    Deadline left{};  // when the last client went
    Deadline due{};
    bool is_working = false;
    bool is_held = false;  // by the last renewal
    bool is_lost = false;  // it was collected, and that was said
  };
  struct Task {
    std::string manifest_id;
    bool is_end = false;
  };

  void Work() EXCLUDES(mutex_);
  void Stop() EXCLUDES(mutex_);
  std::optional<Task> TakeDue() EXCLUDES(mutex_);
  void Renew(const std::string& manifest_id) EXCLUDES(mutex_);
  void End(const std::string& manifest_id) EXCLUDES(mutex_);
  // Renews, or only looks where this process may not write.
  Result<ManifestPlace> Look(const std::string& manifest_id, bool& is_held);
  void Note(const std::string& manifest_id, const ManifestPlace& place)
      EXCLUDES(mutex_);
  void SayDenied(const Error& error);
  void SayAway(const Status& status);
  void CountHeld() REQUIRES(mutex_);

  ObjectStore& store_;
  Clock& clock_;
  LocalCacheMetrics& metrics_;
  const LeaseOptions options_;
  const std::string reader_;

  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, Entry> entries_ GUARDED_BY(mutex_);
  bool has_news_ GUARDED_BY(mutex_) = false;
  bool stop_ GUARDED_BY(mutex_) = false;
  // Of the one who works.
  bool denied_said_ = false;
  bool away_said_ = false;
  std::jthread thread_;
};

}  // namespace morsel
