// SPDX-License-Identifier: Apache-2.0
#include "gc/collector.h"

#include <utility>

#include "gc/dead_leases.h"
#include "gc/delete.h"
#include "gc/each_key.h"
#include "gc/move.h"
#include "gc/references.h"
#include "origin/document.h"
#include "origin/record_store.h"
#include "origin/root_state.h"

namespace morsel {
namespace {

constexpr int kLeasePeriodsExpired = 3;

// Those of `references` whose manifest is in `root` now.
struct Residents {
  ReferenceMap firm;
  ReferenceMap announced;
};

Result<Residents> FindResidents(ObjectStore& store, const std::string& root,
                                const ReferenceMap& references) {
  Residents residents;
  for (const auto& [id, reference] : references) {
    const Result<Versioned<ManifestRecord>> record = LoadRecord(store, id);
    // Named before its record was there, or by mistake: nothing to keep.
    if (!record.ok() && record.error().code == Code::kNotFound) continue;
    if (!record.ok())
      return Error(record.error()).Wrap("named by " + reference.holder);
    if (record->value.root != root) continue;
    (reference.firm ? residents.firm : residents.announced)
        .emplace(id, reference);
  }
  return residents;
}

class RootPass {
 public:
  RootPass(ObjectStore& store, Clock& clock, const GcOptions& options,
           Root root)
      : store_(store),
        clock_(clock),
        options_(options),
        root_(std::move(root)) {
    report_.root = root_.id;
    report_.state_before = report_.state_after = root_.state.state;
  }

  RootReport Run(Status& first_error);

 private:
  Status Retired();
  Status Expired();
  Status Swept();
  // Moves all of `manifests` out of the root.
  Status MoveAll(const ReferenceMap& manifests);
  // True when a listing that began after the root expired found nothing.
  Result<bool> IsAbandoned();
  // False if it was stopped; the report then says by what.
  Result<bool> DeleteContents();
  Status Advance();
  Result<ReferenceMap> List(int64_t now) const {
    return ListReferences(store_, now, options_.lease_period);
  }

  ObjectStore& store_;
  Clock& clock_;
  const GcOptions& options_;
  Root root_;
  RootReport report_;
};

RootReport RootPass::Run(Status& first_error) {
  Status done;
  if (root_.Is(kRootRetired)) done = Retired();
  if (root_.Is(kRootExpired)) done = Expired();
  if (root_.Is(kRootDeleted)) done = Swept();
  if (!done.ok()) {
    report_.error = done.error().message;
    if (first_error.ok())
      first_error = Error(done.error()).Wrap("the root " + root_.id);
  }
  return report_;
}

// Another collector may have been faster: then this pass ends.
Status RootPass::Advance() {
  const Status advanced = AdvanceRoot(store_, clock_, root_);
  if (!advanced.ok() && advanced.error().code == Code::kExists) {
    report_.next_step = "another collector took it on";
    return Ok();
  }
  RETURN_IF_ERROR(advanced);
  ASSIGN_OR_RETURN(root_, LoadRoot(store_, root_.id));
  report_.state_after = root_.state.state;
  return Ok();
}

Status RootPass::MoveAll(const ReferenceMap& manifests) {
  for (const auto& [id, reference] : manifests) {
    if (options_.dry_run) continue;
    ASSIGN_OR_RETURN_AS(const MoveReport moved,
                        MoveManifest(store_, id, root_,
                                     {.thread_count = options_.thread_count}),
                        "named by " + reference.holder);
    report_.moved_manifests += moved.moved ? 1 : 0;
    report_.copied_chunks += moved.copied_chunks;
    report_.copied_bytes += moved.copied_bytes;
  }
  return Ok();
}

Status RootPass::Retired() {
  ASSIGN_OR_RETURN(const int64_t begun, StoreNow(store_));
  if (!options_.dry_run) RETURN_IF_ERROR(ClearMovesTo(store_, root_.id));
  ASSIGN_OR_RETURN(const ReferenceMap references, List(begun));
  ASSIGN_OR_RETURN(const Residents residents,
                   FindResidents(store_, root_.id, references));
  report_.referenced_manifests =
      residents.firm.size() + residents.announced.size();
  RETURN_IF_ERROR(MoveAll(residents.firm));
  RETURN_IF_ERROR(MoveAll(residents.announced));
  const int64_t may_expire =
      root_.since_unix_seconds + options_.min_retired.count();
  if (report_.referenced_manifests > 0) {
    report_.next_step = "expires when a pass finds no reference, not before " +
                        FormatUtc(may_expire);
    return Ok();
  }
  if (begun < may_expire) {
    report_.next_step =
        "expires by the first pass after " + FormatUtc(may_expire);
    return Ok();
  }
  report_.next_step = "deleted after three lease periods";
  return options_.dry_run ? Ok() : Advance();
}

Result<bool> RootPass::IsAbandoned() {
  while (true) {
    ASSIGN_OR_RETURN(const int64_t now, StoreNow(store_));
    ASSIGN_OR_RETURN(const ReferenceMap references, List(now));
    ASSIGN_OR_RETURN(const Residents residents,
                     FindResidents(store_, root_.id, references));
    report_.referenced_manifests += residents.firm.size();
    if (options_.dry_run)
      return residents.firm.empty() && residents.announced.empty();
    for (const auto& [id, reference] : residents.firm)
      RETURN_IF_ERROR(
          RaiseAlarm(store_, clock_,
                     {.root = root_.id,
                      .manifest_id = id,
                      .worker = options_.worker,
                      .reader = "collector: named by " + reference.holder}));
    RETURN_IF_ERROR(MoveAll(residents.firm));
    if (!residents.firm.empty()) return false;
    if (residents.announced.empty()) return true;
    // Made good just before it would have been dropped: so once more.
    ASSIGN_OR_RETURN(const uint64_t dropped,
                     DropAnnouncements(store_, residents.announced));
    report_.dropped_announcements += dropped;
  }
}

Result<bool> RootPass::DeleteContents() {
  RootDeletion deletion(store_, root_.id, root_.state.state,
                        {.batch_size = options_.batch_size,
                         .thread_count = options_.thread_count});
  const Status emptied = deletion.EmptyRecords();
  report_.emptied_records = deletion.counts().records;
  const Status done = emptied.ok() ? deletion.DeleteObjects() : emptied;
  report_.deleted_objects = deletion.counts().objects;
  report_.deleted_bytes = deletion.counts().bytes;
  if (!done.ok() && done.error().code == Code::kExists) {
    report_.next_step = done.error().message;
    return false;
  }
  RETURN_IF_ERROR(done);
  return true;
}

Status RootPass::Expired() {
  ASSIGN_OR_RETURN(const bool abandoned, IsAbandoned());
  if (!abandoned) {
    report_.next_step = "a live reference was found: see the alarms";
    return Ok();
  }
  ASSIGN_OR_RETURN(const int64_t now, StoreNow(store_));
  const int64_t may_delete =
      root_.since_unix_seconds +
      kLeasePeriodsExpired * options_.lease_period.count();
  if (now < may_delete) {
    report_.next_step = "deleted after " + FormatUtc(may_delete);
    return Ok();
  }
  report_.next_step = "deleted; its state stays";
  if (options_.dry_run) return Ok();
  ASSIGN_OR_RETURN(const bool is_empty, DeleteContents());
  return is_empty ? Advance() : Ok();
}

Status RootPass::Swept() {
  if (options_.dry_run) return Ok();
  const Result<bool> is_empty = DeleteContents();
  return is_empty.ok() ? Ok() : Status(is_empty.error());
}

}  // namespace

Result<GcReport> CollectGarbage(ObjectStore& store, Clock& clock,
                                const GcOptions& options) {
  GcReport report;
  ASSIGN_OR_RETURN(std::vector<Root> roots, LoadRoots(store));
  for (Root& root : roots) {
    if (root.Is(kRootActive)) continue;
    RootPass pass(store, clock, options, std::move(root));
    report.roots.push_back(pass.Run(report.first_error));
  }
  ASSIGN_OR_RETURN(report.alarms, ListAlarms(store, /*all=*/false));
  if (!report.alarms.empty()) return report;
  const Result<uint64_t> dead =
      DeleteDeadLeases(store, options.lease_period, options.dry_run);
  if (dead.ok())
    report.dead_leases = *dead;
  else if (report.first_error.ok())
    report.first_error = Error(dead.error()).Wrap("delete dead leases");
  return report;
}

}  // namespace morsel
