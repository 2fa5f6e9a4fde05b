// SPDX-License-Identifier: Apache-2.0
// Deletes what a root holds, in small batches. Before each batch the root's
// state and the breaker are read again, so that after an alarm nothing is
// deleted but what was already asked for.
//
// The order keeps "if a manifest is in a root, all its chunks are": records
// are emptied first, then manifests, chunks, and the rest. The root's state is
// never deleted.
//
// Thread safety: owned by one thread.
// Errors: the store's; kExists: it was stopped, by an alarm or because the
// root is in another state, or by `must_stop`: the message says which.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/object_store.h"
#include "store/throttle_store.h"

namespace morsel {

struct DeleteOptions {
  size_t batch_size = 100;
  size_t thread_count = 8;  // 1: by the caller's thread
  // At most so many deletions; then a batch takes a second at most. 0: as many
  // as the store can.
  uint64_t per_second = 0;
  // Asked before each batch: true ends it, and the next pass goes on.
  std::function<bool()> must_stop;
};

class RootDeletion {
 public:
  struct Counts {
    uint64_t records = 0;
    uint64_t objects = 0;
    uint64_t bytes = 0;
  };

  // `state`: the one that allows it, expired or deleted.
  RootDeletion(ObjectStore& store, Clock& clock, std::string root,
               std::string_view state, DeleteOptions options);

  // Empties those of the records of `ids` whose manifest is in the root: the
  // manifest is gone for readers before anything of it is.
  Status EmptyRecords(const std::vector<std::string>& ids);
  Status DeleteObjects();
  const Counts& counts() const { return counts_; }

 private:
  struct Doomed {
    std::string key;
    uint64_t size_bytes = 0;
  };

  Status MayGoOn();
  // True if it was not empty, and of this root.
  Result<bool> EmptyRecord(const std::string& key);
  Status DeleteBelow(const std::string& prefix);
  Status DeleteAll(const std::vector<Doomed>& objects);
  // act(0), act(1), ... up to `count`, in batches.
  Status InBatches(size_t count, const std::function<Status(size_t)>& act);

  ObjectStore& store_;
  ThrottleStore paced_;  // for what deletes
  const std::string root_;
  const std::string state_;
  const DeleteOptions options_;
  Counts counts_;
};

}  // namespace morsel
