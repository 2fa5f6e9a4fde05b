// SPDX-License-Identifier: Apache-2.0
#include "gc/collector.h"

#include <utility>

#include "gc/dead_leases.h"
#include "gc/move.h"
#include "gc/popularity.h"
#include "gc/root_pass.h"
#include "gc/survey.h"
#include "origin/root_state.h"

namespace morsel {
namespace {

class Collection {
 public:
  Collection(ObjectStore& store, Clock& clock, const GcOptions& options,
             const std::vector<Root>& roots)
      : store_(store), options_(options), mover_(store, roots) {
    for (const Root& root : roots)
      if (!root.Is(kRootActive))
        passes_.emplace_back(store, clock, options, mover_, root);
  }

  // Errors of the survey: then no root has had its pass.
  Status Run();
  std::vector<RootPass>& passes() { return passes_; }

 private:
  Status LookAround();
  // True if a root has expired by it.
  bool MigrateRetired();
  Status RecheckExpired(bool survey_is_old);
  const Residents& Of(const RootPass& pass) { return survey_[pass.root().id]; }

  ObjectStore& store_;
  const GcOptions& options_;
  Mover mover_;
  std::vector<RootPass> passes_;
  Survey survey_;
  int64_t begun_ = 0;  // the survey, by the store's clock
};

Status Collection::LookAround() {
  ASSIGN_OR_RETURN(begun_, StoreNow(store_));
  std::vector<Root> roots;
  for (const RootPass& pass : passes_) roots.push_back(pass.root());
  ASSIGN_OR_RETURN(survey_, SurveyRoots(store_, roots,
                                        {.now = begun_,
                                         .lease_period = options_.lease_period,
                                         .thread_count = options_.thread_count,
                                         .dry_run = options_.dry_run}));
  return Ok();
}

bool Collection::MigrateRetired() {
  bool has_expired = false;
  for (RootPass& pass : passes_) {
    if (!pass.Is(kRootRetired)) continue;
    pass.Migrate(Of(pass), begun_);
    has_expired = has_expired || pass.Is(kRootExpired);
  }
  return has_expired;
}

// Until a survey that began when all of them had expired finds nothing that is
// only announced.
Status Collection::RecheckExpired(bool survey_is_old) {
  while (true) {
    if (survey_is_old) RETURN_IF_ERROR(LookAround());
    survey_is_old = false;
    for (RootPass& pass : passes_)
      if (pass.Is(kRootExpired) && !pass.has_failed() && pass.Recheck(Of(pass)))
        survey_is_old = true;
    if (!survey_is_old) return Ok();
  }
}

Status Collection::Run() {
  if (passes_.empty()) return Ok();
  RETURN_IF_ERROR(LookAround());
  const bool has_expired = MigrateRetired();
  RETURN_IF_ERROR(RecheckExpired(has_expired));
  for (RootPass& pass : passes_)
    if ((pass.Is(kRootExpired) || pass.Is(kRootDeleted)) && !pass.has_failed())
      pass.Delete(Of(pass));
  return Ok();
}

void PublishPopularOf(ObjectStore& store, const std::vector<Root>& roots,
                      const GcOptions& options, GcReport& report) {
  if (options.dry_run) return;
  for (const Root& root : roots) {
    if (!root.Is(kRootActive)) continue;
    const Result<uint64_t> gained =
        PublishPopular(store, root.id,
                       {.manifests_min = options.popular_manifests,
                        .variants = options.popular_variants,
                        .thread_count = options.thread_count});
    if (!gained.ok() && report.first_error.ok())
      report.first_error =
          Error(gained.error()).Wrap("the popular chunks of " + root.id);
    if (gained.ok() && *gained > 0)
      report.popular.push_back({root.id, *gained});
  }
}

}  // namespace

Result<GcReport> CollectGarbage(ObjectStore& store, Clock& clock,
                                const GcOptions& options) {
  GcReport report;
  ASSIGN_OR_RETURN(const std::vector<Root> roots, LoadRoots(store));
  Collection collection(store, clock, options, roots);
  report.first_error = collection.Run();
  for (const RootPass& pass : collection.passes()) {
    report.roots.push_back(pass.report());
    if (report.first_error.ok()) report.first_error = pass.error();
  }
  PublishPopularOf(store, roots, options, report);
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
