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
// root is in another state: the message says which.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/object_store.h"

namespace morsel {

struct DeleteOptions {
  size_t batch_size = 100;
  size_t thread_count = 8;  // 1: by the caller's thread
};

class RootDeletion {
 public:
  struct Counts {
    uint64_t records = 0;
    uint64_t objects = 0;
    uint64_t bytes = 0;
  };

  // `state`: the one that allows it, expired or deleted.
  RootDeletion(ObjectStore& store, std::string root, std::string_view state,
               const DeleteOptions& options);

  // Empties each record whose manifest is in the root: the manifest is gone
  // for readers before anything of it is.
  Status EmptyRecords();
  Status DeleteObjects();
  const Counts& counts() const { return counts_; }

 private:
  struct Doomed {
    std::string key;
    uint64_t size_bytes = 0;
  };

  Status MayGoOn();
  Status EmptyRecord(const std::string& key);
  Status DeleteBelow(const std::string& prefix);
  Status DeleteBatch(const std::vector<Doomed>& batch);

  ObjectStore& store_;
  const std::string root_;
  const std::string state_;
  const DeleteOptions options_;
  Counts counts_;
};

}  // namespace morsel
