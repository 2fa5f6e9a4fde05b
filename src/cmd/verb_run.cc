// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstdio>

#include "base/fd.h"
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

Result<RunOptions> ReadOptions(const Arguments& arguments) {
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

Result<ImageConfig> ReadImageConfig(const UnlockedImage& image) {
  ASSIGN_OR_RETURN(Manifest manifest,
                   Manifest::Parse(CopyBytes(image.resolved.manifest.bytes())));
  ASSIGN_OR_RETURN(const OpenManifest opened,
                   OpenManifest::Open(std::move(manifest), image.data_key));
  return ImageConfig::Parse(opened.config());
}

// The image to run: a SOURCE is converted first.
Result<UnlockedImage> FindImage(Tool& tool, const Arguments& arguments) {
  const std::string name = arguments.Get("NAME");
  if (!IsSource(name)) return Unlock(tool, name, "run");
  ASSIGN_OR_RETURN(
      const ImageName converted,
      ConvertSource(
          tool,
          {.source = name, .name = "", .platform = arguments.Get("platform")}));
  return Unlock(tool, converted.ToString(), "run");
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

void PrintErrors(const RunReport& report) {
  if (report.error) PrintError("run", *report.error);
  if (!report.device_fault.empty())
    PrintMessage(
        "run: reads or writes of the device failed; its agent said "
        "last: " +
        report.device_fault);
  if (report.cleanup_error)
    PrintMessage("run: clean-up: " + report.cleanup_error->message +
                 " ('morsel doctor' clears it)");
}

}  // namespace

namespace {

struct FinishedRun {
  UnlockedImage image;
  RunReport report;
};

// Finds the image, attaches it, runs the command, and cleans up.
Result<FinishedRun> RunImage(Tool& tool, const Arguments& arguments,
                             const RunOptions& options) {
  const Deadline begun = SystemClock().Now();
  ASSIGN_OR_RETURN(UnlockedImage image, FindImage(tool, arguments));
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
  PrintErrors(report);
  if (arguments.Has("stats-file")) {
    // The command has run, and its exit code is what matters.
    const Status written =
        WriteStats(arguments.Get("stats-file"), resolve_ms, attach_ms, report);
    if (!written.ok()) PrintError("run", written.error());
  }
  return FinishedRun{std::move(image), std::move(report)};
}

// What `record` prints, and the chunks of it that are to be stored.
struct Profile {
  std::vector<uint32_t> chunks;
  uint64_t bytes = 0;
};

Profile ProfileOf(const Manifest& manifest,
                  const std::vector<uint32_t>& chunks) {
  Profile profile;
  for (const uint32_t index : chunks) {
    const std::optional<size_t> position = manifest.FindChunk(index);
    if (!position) continue;
    profile.chunks.push_back(index);
    profile.bytes += manifest.ChunkAt(*position).stored_length;
  }
  return profile;
}

Status StoreProfile(Tool& tool, const ImageName& name,
                    const ResolvedImage& image,
                    const std::vector<uint32_t>& chunks) {
  const Profile profile = ProfileOf(image.manifest, chunks);
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  RETURN_IF_ERROR(
      origin->SetStartupChunks(image.manifest.id(), profile.chunks));
  Json json;
  json["name"] = name.ToString();
  json["manifest_id"] = image.manifest.id();
  json["startup_chunks"] = static_cast<uint64_t>(profile.chunks.size());
  json["startup_bytes"] = profile.bytes;
  tool.Print(json, image.manifest.id(),
             name.ToString() + ": recorded " +
                 std::to_string(profile.chunks.size()) + " chunks, " +
                 HumanSize(profile.bytes) +
                 "; its next starts load them "
                 "ahead\n");
  return Ok();
}

Result<int> ForgetProfile(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const ImageName name,
                   ImageName::Parse(arguments.Get("NAME")));
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  ASSIGN_OR_RETURN(const ResolvedImage image, origin->Resolve(name));
  RETURN_IF_ERROR(origin->SetStartupChunks(image.manifest.id(), {}));
  return 0;
}

Result<std::optional<std::chrono::milliseconds>> TimeLimit(
    const Arguments& arguments) {
  if (!arguments.Has("for")) return std::optional<std::chrono::milliseconds>();
  constexpr double kMaxSeconds = 86'400;
  const std::string text = arguments.Get("for");
  char* end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(seconds > 0) || seconds > kMaxSeconds)
    return MakeError(Code::kInvalid, "--for " + text +
                                         ": not a number of seconds above 0, "
                                         "86400 at most");
  return std::optional(
      std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
}

}  // namespace

Result<int> RunRun(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const RunOptions options, ReadOptions(arguments));
  ASSIGN_OR_RETURN(const FinishedRun run, RunImage(tool, arguments, options));
  return run.report.exit_code;
}

Result<int> RunRecord(Tool& tool, const Arguments& arguments) {
  if (arguments.Has("forget")) return ForgetProfile(tool, arguments);
  ASSIGN_OR_RETURN(RunOptions options, ReadOptions(arguments));
  ASSIGN_OR_RETURN(options.time_limit, TimeLimit(arguments));
  ASSIGN_OR_RETURN(const FinishedRun run, RunImage(tool, arguments, options));
  const RunReport& report = run.report;
  if (report.exit_code != 0 && !report.timed_out) {
    PrintMessage("record: the command failed (exit code " +
                 std::to_string(report.exit_code) + "): nothing is recorded");
    return report.exit_code;
  }
  RETURN_IF_ERROR(StoreProfile(tool, run.image.name, run.image.resolved,
                               report.startup_chunks));
  return 0;
}

}  // namespace morsel
