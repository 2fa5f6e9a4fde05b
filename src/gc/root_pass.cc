// SPDX-License-Identifier: Apache-2.0
#include "gc/root_pass.h"

#include <atomic>
#include <utility>

#include "base/parallel.h"
#include "gc/delete.h"
#include "gc/references.h"
#include "origin/alarm.h"

namespace morsel {
namespace {

constexpr int kLeasePeriodsExpired = 3;
// A manifest of so many chunks is moved by all threads; of smaller ones each
// thread moves another.
constexpr uint64_t kLargeChunkCount = 1000;

// Of moves by several threads.
struct MoveTotals {
  std::atomic<uint64_t> manifests{0};
  std::atomic<uint64_t> chunks{0};
  std::atomic<uint64_t> bytes{0};
};

Status MoveOne(Mover& mover, const Resident& resident, const Root& source,
               size_t thread_count, MoveTotals& totals) {
  ASSIGN_OR_RETURN_AS(const MoveReport moved,
                      mover.Move(resident.id, source, thread_count),
                      "named by " + resident.holder);
  totals.manifests += moved.moved ? 1 : 0;
  totals.chunks += moved.copied_chunks;
  totals.bytes += moved.copied_bytes;
  return Ok();
}

Status MoveEach(Mover& mover, const std::vector<Resident>& residents,
                const Root& source, size_t thread_count, MoveTotals& totals) {
  if (residents.empty()) return Ok();
  RETURN_IF_ERROR(mover.Prepare(source));
  for (const Resident& resident : residents)
    if (thread_count <= 1 || resident.chunk_count > kLargeChunkCount)
      RETURN_IF_ERROR(MoveOne(mover, resident, source, thread_count, totals));
  if (thread_count <= 1) return Ok();
  JobPool pool(thread_count, thread_count);
  for (const Resident& resident : residents) {
    if (resident.chunk_count > kLargeChunkCount) continue;
    const Status submitted = pool.Submit(
        [&] { return MoveOne(mover, resident, source, 1, totals); });
    if (!submitted.ok()) break;
  }
  return pool.Finish();
}

ReferenceMap ById(const std::vector<Resident>& residents) {
  ReferenceMap manifests;
  for (const Resident& resident : residents)
    manifests[resident.id].holder = resident.holder;
  return manifests;
}

}  // namespace

RootPass::RootPass(ObjectStore& store, Clock& clock, const GcOptions& options,
                   Mover& mover, Root root)
    : store_(store),
      clock_(clock),
      options_(options),
      mover_(mover),
      root_(std::move(root)) {
  report_.root = root_.id;
  report_.state_before = report_.state_after = root_.state.state;
}

void RootPass::Note(const Status& done) {
  if (done.ok() || !error_.ok()) return;
  report_.error = done.error().message;
  error_ = Error(done.error()).Wrap("the root " + root_.id);
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

Status RootPass::MoveAll(const std::vector<Resident>& residents) {
  if (options_.dry_run) return Ok();
  MoveTotals totals;
  const Status done =
      MoveEach(mover_, residents, root_, options_.thread_count, totals);
  report_.moved_manifests += totals.manifests;
  report_.copied_chunks += totals.chunks;
  report_.copied_bytes += totals.bytes;
  return done;
}

Status RootPass::MigrateOrExpire(const Residents& residents, int64_t begun) {
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

Status RootPass::RaiseFor(const Resident& resident) {
  return RaiseAlarm(store_, clock_,
                    {.root = root_.id,
                     .manifest_id = resident.id,
                     .worker = options_.worker,
                     .reader = "collector: named by " + resident.holder});
}

Result<bool> RootPass::MoveOrDrop(const Residents& residents) {
  report_.referenced_manifests += residents.firm.size();
  if (options_.dry_run) {
    found_live_ = !residents.firm.empty() || !residents.announced.empty();
    return false;
  }
  for (const Resident& resident : residents.firm)
    RETURN_IF_ERROR(RaiseFor(resident));
  RETURN_IF_ERROR(MoveAll(residents.firm));
  found_live_ = found_live_ || !residents.firm.empty();
  if (residents.announced.empty()) return false;
  ASSIGN_OR_RETURN(const uint64_t dropped,
                   DropAnnouncements(store_, ById(residents.announced)));
  report_.dropped_announcements += dropped;
  return true;
}

Result<bool> RootPass::DeleteContents(const Residents& residents) {
  RootDeletion deletion(store_, clock_, root_.id, root_.state.state,
                        {.batch_size = options_.batch_size,
                         .thread_count = options_.thread_count,
                         .per_second = options_.deletes_per_second,
                         .must_stop = options_.must_stop});
  const Status emptied = deletion.EmptyRecords(residents.ids);
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

// A deleted root holds nothing that is named, unless somebody put its state in
// the place of another root's: then everything is there still. What is not
// whole any more cannot be saved, and is a latecomer's.
Status RootPass::SaveNamed(const Residents& residents) {
  for (const Resident& resident : residents.firm) {
    MoveTotals totals;
    const Status moved =
        MoveOne(mover_, resident, root_, options_.thread_count, totals);
    // Damaged, and named: a person decides, and until then nothing goes.
    if (!moved.ok()) RETURN_IF_ERROR(RaiseFor(resident));
    RETURN_IF_ERROR(moved);
    if (totals.manifests == 0) continue;
    ++report_.moved_manifests;
    report_.copied_chunks += totals.chunks;
    report_.copied_bytes += totals.bytes;
    RETURN_IF_ERROR(RaiseFor(resident));
  }
  return Ok();
}

Status RootPass::SweepDeleted(const Residents& residents) {
  report_.referenced_manifests += residents.firm.size();
  if (options_.dry_run) return Ok();
  RETURN_IF_ERROR(SaveNamed(residents));
  const Result<bool> is_empty = DeleteContents(residents);
  return is_empty.ok() ? Ok() : Status(is_empty.error());
}

Status RootPass::DeleteIfDue(const Residents& residents) {
  if (Is(kRootDeleted)) return SweepDeleted(residents);
  if (found_live_) {
    report_.next_step =
        options_.dry_run
            ? "a pass would drop what only announces a manifest, and move what "
              "is live, with an alarm that stops all deletion"
            : "a live reference was found: see the alarms";
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
  report_.next_step = options_.dry_run ? "a pass would delete it, but its state"
                                       : "deleted; its state stays";
  if (options_.dry_run) return Ok();
  ASSIGN_OR_RETURN(const bool is_empty, DeleteContents(residents));
  return is_empty ? Advance() : Ok();
}

void RootPass::Migrate(const Residents& residents, int64_t begun) {
  Note(MigrateOrExpire(residents, begun));
}

bool RootPass::Recheck(const Residents& residents) {
  const Result<bool> dropped = MoveOrDrop(residents);
  if (!dropped.ok()) Note(dropped.error());
  return dropped.ok() && *dropped;
}

void RootPass::Delete(const Residents& residents) {
  Note(DeleteIfDue(residents));
}

}  // namespace morsel
