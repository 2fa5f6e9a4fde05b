// SPDX-License-Identifier: Apache-2.0
// What one pass of a collector does to one root, by the root's state
// (gc/collector.h). The pass as a whole looks once at all references and
// records (gc/survey.h); each step here gets what that found in the root.
//
// Thread safety: owned by one thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "gc/collector.h"
#include "gc/move.h"
#include "gc/survey.h"
#include "origin/root_state.h"
#include "store/object_store.h"

namespace morsel {

class RootPass {
 public:
  // `root`: as it was read before the survey. All must outlive the pass.
  RootPass(ObjectStore& store, Clock& clock, const GcOptions& options,
           Mover& mover, Root root);

  const Root& root() const { return root_; }
  bool Is(std::string_view state) const { return root_.Is(state); }
  bool has_failed() const { return !error_.ok(); }

  // Retired: moves what is referenced; expires if nothing is, and `begun`, the
  // store's time before the survey, is late enough.
  void Migrate(const Residents& residents, int64_t begun);
  // Expired before the survey began: what is referenced is moved, and is an
  // alarm; abandoned announcements are dropped. True if any was: one may have
  // been made good just before, so a further survey must follow.
  bool Recheck(const Residents& residents);
  // Expired: deletes, if the last survey found nothing, and it is time.
  // Deleted: deletes what latecomers have put there. What is named there and
  // whole is moved first, and is an alarm: the root's state is wrong then.
  void Delete(const Residents& residents);

  // With the first error.
  const RootReport& report() const { return report_; }
  const Status& error() const { return error_; }

 private:
  // Keeps the first error.
  void Note(const Status& done);
  Status MigrateOrExpire(const Residents& residents, int64_t begun);
  Status RaiseFor(const Resident& resident);
  Result<bool> MoveOrDrop(const Residents& residents);
  Status SaveNamed(const Residents& residents);
  Status SweepDeleted(const Residents& residents);
  Status DeleteIfDue(const Residents& residents);
  Status MoveAll(const std::vector<Resident>& residents);
  // False if it was stopped; the report then says by what.
  Result<bool> DeleteContents(const Residents& residents);
  Status Advance();

  ObjectStore& store_;
  Clock& clock_;
  const GcOptions& options_;
  Mover& mover_;
  Root root_;
  bool found_live_ = false;
  Status error_;
  RootReport report_;
};

}  // namespace morsel
