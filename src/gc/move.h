// SPDX-License-Identifier: Apache-2.0
// Moves manifests with all their chunks to another root, readable at every
// moment: announce (`next_root` in the record), look (the target is active),
// copy chunks, then the manifest, and make it good by compare-and-swap on what
// was announced. A target that retires meanwhile clears the announcement, so a
// mover that slept cannot make it good any more.
//
// Chunks that the target has are found by listing it and by remembering what
// was copied, within a fixed 16 MiB a target: a chunk that many manifests share
// is asked for once, as long as it is remembered.
//
// Thread safety: thread-safe. Any number of movers of one manifest are safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "gc/name_cache.h"
#include "origin/known_chunks.h"
#include "origin/root_state.h"
#include "store/object_store.h"

namespace morsel {

struct MoveReport {
  bool moved = false;  // false: it was not in `source` (any more)
  std::string target;
  uint64_t copied_chunks = 0;  // that the target did not have
  uint64_t copied_bytes = 0;   // what dedup this rotation cost
};

class Mover {
 public:
  // `roots`: as they were read at the beginning of the pass; they are read
  // again if a target turns out to have retired.
  Mover(ObjectStore& store, std::vector<Root> roots)
      : store_(store), roots_(std::move(roots)) {}

  // Lists the roots to which manifests of `source` may go, once, before several
  // threads ask for the same lists.
  Status Prepare(const Root& source) EXCLUDES(mutex_);
  // Moves the manifest out of `source` to an active root like it, with
  // `thread_count` copies in flight (1: by the caller's thread). kInvalid:
  // there is none. kCorrupt: the manifest, or a chunk that it names, is damaged
  // or gone: the message names it, and nothing of the manifest's has changed.
  Result<MoveReport> Move(const std::string& id, const Root& source,
                          size_t thread_count);

 private:
  // What is known of a target's chunks.
  struct Target {
    explicit Target(KnownChunks known) : listed(std::move(known)) {}
    const KnownChunks listed;
    NameCache present;
  };

  Status MoveOnce(const std::string& id, const Root& source,
                  size_t thread_count, MoveReport& report);
  Result<std::string> ChooseTarget(const std::string& id, const Root& source)
      EXCLUDES(mutex_);
  Status ReadRootsAgain() EXCLUDES(mutex_);
  Result<Target*> KnownOf(const std::string& root) EXCLUDES(mutex_);
  Status CopyAll(const std::string& id, const std::string& source,
                 size_t thread_count, MoveReport& report);

  ObjectStore& store_;
  Mutex mutex_;
  std::vector<Root> roots_ GUARDED_BY(mutex_);
  std::map<std::string, std::unique_ptr<Target>> targets_ GUARDED_BY(mutex_);
};

}  // namespace morsel
