// SPDX-License-Identifier: Apache-2.0
// morsel gc: status, run, check, resume.
#include <csignal>
#include <cstdio>

#include "base/clock.h"
#include "base/log.h"
#include "base/printable.h"
#include "cmd/verbs.h"
#include "gc/check.h"
#include "gc/collector.h"
#include "gc/report.h"
#include "origin/alarm.h"
#include "origin/root_state.h"

namespace morsel {
namespace {

GcOptions OptionsOf(Tool& tool, const Arguments& arguments) {
  GcOptions options;
  const auto seconds = [&](std::string_view key) {
    return std::chrono::seconds(
        static_cast<int64_t>(tool.config().Seconds(key)));
  };
  options.min_retired = seconds("gc.min_retired");
  options.thread_count =
      static_cast<size_t>(tool.config().Integer("gc.requests"));
  options.deletes_per_second =
      static_cast<uint64_t>(tool.config().Integer("gc.deletes_per_second"));
  options.popular_manifests =
      static_cast<uint64_t>(tool.config().Integer("gc.popular_manifests"));
  options.popular_variants =
      static_cast<uint32_t>(tool.config().Integer("gc.popular_variants"));
  options.dry_run = arguments.Has("dry-run");
  return options;
}

Json AlarmsJson(const std::vector<ShownAlarm>& alarms) {
  Json rows{Json::Array()};
  for (const ShownAlarm& shown : alarms) {
    Json row;
    row["root"] = shown.alarm.root;
    row["manifest_id"] = shown.alarm.manifest_id;
    row["worker"] = shown.alarm.worker;
    row["reader"] = shown.alarm.reader;
    row["at"] = FormatUtc(shown.alarm.at_unix_seconds);
    rows.Append(std::move(row));
  }
  return rows;
}

std::string AlarmsText(const std::vector<ShownAlarm>& alarms) {
  std::string text;
  for (const ShownAlarm& shown : alarms)
    // Any worker may have written it.
    text += Printable("ALARM  " + FormatUtc(shown.alarm.at_unix_seconds) +
                      "  root " + shown.alarm.root + "  manifest " +
                      shown.alarm.manifest_id.substr(0, 12) + "  read by " +
                      shown.alarm.reader) +
            "\n";
  if (!alarms.empty())
    text +=
        "nothing is deleted until `morsel gc resume` acknowledges what it "
        "shows\n";
  return text;
}

Result<int> GcStatus(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(ObjectStore* const store, tool.OpenStore(false));
  ASSIGN_OR_RETURN(
      const std::vector<RootUsage> rows,
      MeasureRoots(*store, arguments.Has("births"),
                   static_cast<size_t>(tool.config().Integer("gc.requests"))));
  ASSIGN_OR_RETURN(const std::vector<ShownAlarm> alarms,
                   ListAlarms(*store, /*all=*/false));
  Json json;
  json["roots"] = Json(Json::Array());
  json["alarms"] = AlarmsJson(alarms);
  std::string text;
  for (const RootUsage& row : rows) {
    json["roots"].Append(row.ToJson());
    text += row.ToText() + "\n";
  }
  tool.Print(json, "", text + AlarmsText(alarms));
  return alarms.empty() ? 0 : ExitCodeOf(Code::kUnavailable);
}

Result<int> GcRunOnce(Tool& tool, ObjectStore& store,
                      const GcOptions& options) {
  ASSIGN_OR_RETURN(const GcReport report,
                   CollectGarbage(store, SystemClock(), options));
  Json json;
  json["roots"] = Json(Json::Array());
  json["alarms"] = AlarmsJson(report.alarms);
  json["dead_leases"] = report.dead_leases;
  std::string text;
  for (const RootReport& row : report.roots) {
    json["roots"].Append(ToJson(row));
    text += ToText(row) + "\n";
  }
  if (report.roots.empty()) text = "every root is active: nothing to do\n";
  if (report.dead_leases > 0)
    text += std::to_string(report.dead_leases) +
            (options.dry_run ? " dead leases to delete\n"
                             : " dead leases deleted\n");
  json["popular"] = Json(Json::Array());
  for (const PopularReport& row : report.popular) {
    Json entry;
    entry["root"] = row.root;
    entry["names"] = row.names;
    json["popular"].Append(std::move(entry));
    text += row.root + "  " + std::to_string(row.names) +
            " chunks more are popular: converters spread them from now on\n";
  }
  tool.Print(json, "", text + AlarmsText(report.alarms));
  RETURN_IF_ERROR(report.first_error);
  return report.alarms.empty() ? 0 : ExitCodeOf(Code::kUnavailable);
}

// SIGTERM and SIGINT end the daemon between two passes, or two batches of
// deletions: every pass can be resumed, so there is nothing to save.
bool IsSignalPending() {
  sigset_t pending;
  return ::sigpending(&pending) == 0 &&
         (::sigismember(&pending, SIGTERM) == 1 ||
          ::sigismember(&pending, SIGINT) == 1);
}

bool SleepUntilNextPass(double seconds) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  const timespec time{.tv_sec = static_cast<time_t>(seconds), .tv_nsec = 0};
  return ::sigtimedwait(&signals, nullptr, &time) < 0;
}

Result<int> GcDaemon(Tool& tool, ObjectStore& store, const GcOptions& options,
                     double every_seconds) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  do {
    const Result<int> done = GcRunOnce(tool, store, options);
    std::fflush(stdout);
    if (!done.ok())
      LogError("a pass of the collector failed",
               {{"cause", done.error().message}});
  } while (SleepUntilNextPass(every_seconds));
  return 0;
}

Result<int> GcRun(Tool& tool, const Arguments& arguments) {
  RETURN_IF_ERROR(tool.OpenStore(/*writing=*/false));
  ASSIGN_OR_RETURN(ObjectStore* const store, tool.OpenStore(/*writing=*/true));
  GcOptions options = OptionsOf(tool, arguments);
  if (!arguments.Has("daemon")) return GcRunOnce(tool, *store, options);
  options.must_stop = IsSignalPending;
  return GcDaemon(tool, *store, options, tool.config().Seconds("gc.interval"));
}

Result<int> GcCheckStore(Tool& tool) {
  RETURN_IF_ERROR(tool.OpenStore(/*writing=*/false));
  ASSIGN_OR_RETURN(ObjectStore* const store, tool.OpenStore(/*writing=*/true));
  ASSIGN_OR_RETURN(const int64_t now, StoreNow(*store));
  ASSIGN_OR_RETURN(const GcCheck check, CheckInvariants(*store, now));
  Json json;
  Json problems{Json::Array()};
  std::string text;
  for (const GcProblem& problem : check.problems) {
    Json row;
    row["where"] = problem.where;
    row["what"] = problem.what;
    problems.Append(std::move(row));
    text += problem.where + " " + problem.what + "\n";
  }
  json["roots"] = check.roots;
  json["manifests"] = check.manifests;
  json["chunks"] = check.chunks;
  json["problems"] = std::move(problems);
  text += std::to_string(check.roots) + " roots, " +
          std::to_string(check.manifests) + " named manifests with " +
          std::to_string(check.chunks) +
          " chunks: " + std::to_string(check.problems.size()) + " problems\n";
  tool.Print(json, "", text);
  return check.problems.empty() ? 0 : ExitCodeOf(Code::kCorrupt);
}

// Acknowledges just what it shows, and has shown first: who has not seen an
// alarm must find it again.
Result<int> GcResume(Tool& tool) {
  RETURN_IF_ERROR(tool.OpenStore(/*writing=*/false));
  ASSIGN_OR_RETURN(ObjectStore* const store, tool.OpenStore(/*writing=*/true));
  ASSIGN_OR_RETURN(const std::vector<ShownAlarm> alarms,
                   ListAlarms(*store, /*all=*/false));
  Json json;
  json["acknowledged"] = AlarmsJson(alarms);
  std::string text;
  for (const ShownAlarm& shown : alarms)
    text += "acknowledged: " +
            Printable(shown.key + ", read by " + shown.alarm.reader) + "\n";
  tool.Print(json, "", alarms.empty() ? "there is no alarm\n" : text);
  RETURN_IF_ERROR(tool.Flush());
  Status first;  // the others are acknowledged still
  for (const ShownAlarm& shown : alarms) {
    const Status done = AcknowledgeAlarm(*store, shown);
    if (!done.ok() && done.error().code == Code::kExists)
      PrintMessage("raised again meanwhile, not acknowledged: " + shown.key);
    else if (!done.ok() && first.ok())
      first = Error(done.error()).Wrap("not acknowledged: " + shown.key);
  }
  RETURN_IF_ERROR(first);
  return 0;
}

}  // namespace

Result<int> RunGc(Tool& tool, const Arguments& arguments) {
  const std::string action = arguments.Get("ACTION");
  if (action == "status") return GcStatus(tool, arguments);
  if (action == "run") return GcRun(tool, arguments);
  if (action == "check") return GcCheckStore(tool);
  if (action == "resume") return GcResume(tool);
  return UsageError("gc", "'" + action +
                              "' is no action; there are 'status', 'run', "
                              "'check' and 'resume'");
}

}  // namespace morsel
