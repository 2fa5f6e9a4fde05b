// SPDX-License-Identifier: Apache-2.0
// One look at everything that is referenced, and at every record, for all roots
// that are not active: what lies in them still, and who wants it.
//
// References are listed first, then each record is read once. A move into one
// of the retired roots that it announces is taken back at that moment, so that
// the manifest cannot come to be there afterwards: whoever announced it finds
// the record changed. What is named later than the listing began, nobody may
// name in a root that has expired before.
//
// Cost: a request for each name of an image, one for each record, and one for
// each 1,000 of them. Memory: some 300 bytes for each manifest.
//
// Thread safety: a free function.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "origin/root_state.h"
#include "store/object_store.h"

namespace morsel {

struct Resident {
  std::string id;
  std::string holder;  // one of those who name it
  uint64_t chunk_count = 0;
};

// What lies in a root.
struct Residents {
  std::vector<Resident> firm;       // referenced
  std::vector<Resident> announced;  // only announced (`next`)
  // All whose record says so, referenced or not; of expired and deleted roots.
  std::vector<std::string> ids;
};

using Survey = std::map<std::string, Residents>;  // by root

struct SurveyOptions {
  int64_t now = 0;  // the store's (StoreNow)
  std::chrono::seconds lease_period{0};
  size_t thread_count = 8;  // requests in flight
  bool dry_run = false;     // takes nothing back
};

// Of all of `roots` that are not active. Errors of the store; kCorrupt if a
// document that may hold a reference is damaged, or a record: then nothing may
// be deleted.
Result<Survey> SurveyRoots(ObjectStore& store, const std::vector<Root>& roots,
                           const SurveyOptions& options);

}  // namespace morsel
