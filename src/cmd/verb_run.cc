// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstdio>

#include "base/fd.h"
#include "cmd/run_image.h"
#include "cmd/verbs.h"
#include "sandbox/device.h"
#include "sandbox/image_config.h"
#include "sandbox/run.h"

namespace morsel {
namespace {

// As docker has it: less is not enough for runc's own start.
constexpr uint64_t kMinMemoryBytes = 6 * kMiB;
// More than any machine has: what is meant is another number, or no limit.
constexpr uint64_t kMaxMemoryBytes = 1024 * 1024 * kGiB;
constexpr double kMinCpus = 0.01;        // a millisecond of each 100
constexpr double kMaxCpus = 8192;        // NR_CPUS of Linux
constexpr int64_t kMaxPids = 4'194'304;  // PID_MAX_LIMIT of Linux

template <typename Number>
bool ParseWhole(const std::string& text, Number& number) {
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

Result<double> ParseCpus(const std::string& text) {
  double cpus = 0;
  if (!ParseWhole(text, cpus) || !(cpus >= kMinCpus && cpus <= kMaxCpus))
    return MakeError(Code::kInvalid,
                     "--cpus " + text + ": not a number from 0.01 to 8192");
  return cpus;
}

Result<int64_t> ParsePids(const std::string& text) {
  int64_t pids = 0;
  if (!ParseWhole(text, pids) || pids < 1 || pids > kMaxPids)
    return MakeError(Code::kInvalid, "--pids-limit " + text +
                                         ": not a number from 1 to 4194304");
  return pids;
}

Result<uint64_t> ParseMemory(const std::string& text) {
  ASSIGN_OR_RETURN_AS(const uint64_t bytes, ParseSize(text), "--memory");
  if (bytes < kMinMemoryBytes)
    return MakeError(Code::kInvalid,
                     "--memory " + text + ": under 6 MiB nothing starts");
  if (bytes > kMaxMemoryBytes)
    return MakeError(Code::kInvalid,
                     "--memory " + text + ": over 1 PiB is no limit");
  return bytes;
}

Status ReadLimits(const Arguments& arguments, RunOptions& options) {
  if (arguments.Has("memory")) {
    ASSIGN_OR_RETURN(options.memory_bytes,
                     ParseMemory(arguments.Get("memory")));
  }
  if (arguments.Has("cpus")) {
    ASSIGN_OR_RETURN(options.cpus, ParseCpus(arguments.Get("cpus")));
  }
  if (arguments.Has("pids-limit")) {
    ASSIGN_OR_RETURN(options.pids_limit,
                     ParsePids(arguments.Get("pids-limit")));
  }
  return Ok();
}

Result<ImageConfig> ReadImageConfig(const UnlockedImage& image) {
  ASSIGN_OR_RETURN(Manifest manifest,
                   Manifest::Parse(CopyBytes(image.resolved.manifest.bytes())));
  ASSIGN_OR_RETURN(const OpenManifest opened,
                   OpenManifest::Open(std::move(manifest), image.data_key));
  return ImageConfig::Parse(opened.config());
}

// The image to run: a SOURCE is converted first.
Result<UnlockedImage> FindImage(Tool& tool, const Arguments& arguments,
                                const std::string& verb) {
  const std::string name = arguments.Get("NAME");
  if (!IsSource(name)) return Unlock(tool, name, verb);
  ASSIGN_OR_RETURN(
      const ImageName converted,
      ConvertSource(
          tool,
          {.source = name, .name = "", .platform = arguments.Get("platform")}));
  return Unlock(tool, converted.ToString(), verb);
}

double MillisecondsSince(Deadline begin) {
  const std::chrono::duration<double, std::milli> passed =
      SystemClock().Now() - begin;
  return passed.count();
}

Status WriteStats(const std::string& path, double resolve_ms, double attach_ms,
                  const RunReport& report) {
  Json json = report.timings.ToJson();
  json["resolve_ms"] = resolve_ms;
  json["attach_ms"] = attach_ms;
  json["exit_code"] = report.exit_code;
  if (const Json::Object* stats = report.device_stats.AsObject())
    for (const auto& [key, value] : *stats) json[key] = value;
  return WriteFileAtomically(path, AsBytes(json.Dump(2) + "\n"), 0644);
}

}  // namespace

Result<RunOptions> ReadRunOptions(const Arguments& arguments) {
  RunOptions options;
  options.args = arguments.List("COMMAND");
  if (arguments.Has("entrypoint"))
    options.entrypoint = arguments.Get("entrypoint");
  options.env = arguments.List("env");
  options.user = arguments.Get("user");
  options.working_dir = arguments.Get("workdir");
  options.hostname = arguments.Get("hostname");
  options.read_only = arguments.Has("read-only");
  options.terminal = arguments.Has("tty");
  options.interactive = arguments.Has("interactive");
  options.add_capabilities = arguments.List("cap-add");
  options.drop_capabilities = arguments.List("cap-drop");
  const std::string net = arguments.Get("net");
  if (net == "host")
    options.network = Network::kHost;
  else if (!net.empty() && net != "none")
    return MakeError(Code::kInvalid,
                     "--net " + net + ": there are host and none");
  for (const std::string& text : arguments.List("volume")) {
    ASSIGN_OR_RETURN(BindMount bind, BindMount::Parse(text));
    options.binds.push_back(std::move(bind));
  }
  RETURN_IF_ERROR(ReadLimits(arguments, options));
  return options;
}

Result<FinishedRun> RunImage(Tool& tool, const Arguments& arguments,
                             const RunOptions& options,
                             const std::string& verb) {
  const Deadline begun = SystemClock().Now();
  ASSIGN_OR_RETURN(UnlockedImage image, FindImage(tool, arguments, verb));
  ASSIGN_OR_RETURN_AS(const ImageConfig config, ReadImageConfig(image),
                      "image " + image.name.ToString());
  ASSIGN_OR_RETURN(KeyService* const keys, tool.Keys());
  ASSIGN_OR_RETURN(ForwardedSignals signals, ForwardedSignals::Block());
  const double resolve_ms = MillisecondsSince(begun);
  AttachOptions attach;
  ASSIGN_OR_RETURN(attach.overlay, OverlayName(arguments));
  attach.until_exit = true;
  const Deadline attaching = SystemClock().Now();
  ASSIGN_OR_RETURN(const AttachedDevice device,
                   AttachDevice(tool.config(), image.name, image.resolved,
                                image.data_key, *keys, attach));
  const double attach_ms = MillisecondsSince(attaching);
  RunReport report = RunContainer({.config = tool.config(),
                                   .device = device,
                                   .image = config,
                                   .options = options,
                                   .signals = signals});
  if (arguments.Has("stats-file")) {
    // The command has run, and its exit code is what matters.
    const Status written =
        WriteStats(arguments.Get("stats-file"), resolve_ms, attach_ms, report);
    if (!written.ok()) PrintError(verb, written.error());
  }
  return FinishedRun{std::move(image), std::move(report)};
}

void PrintFaults(const RunReport& report, const std::string& verb) {
  if (!report.device_fault.empty())
    PrintMessage(verb +
                 ": reads or writes of the device failed; its agent said "
                 "last: " +
                 report.device_fault);
  if (report.cleanup_error)
    PrintMessage(verb + ": clean-up: " + report.cleanup_error->message +
                 " ('morsel doctor' clears it)");
}

Result<int> RunRun(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const RunOptions options, ReadRunOptions(arguments));
  ASSIGN_OR_RETURN(const FinishedRun run,
                   RunImage(tool, arguments, options, "run"));
  if (run.report.error) PrintError("run", *run.report.error);
  PrintFaults(run.report, "run");
  return run.report.exit_code;
}

}  // namespace morsel
