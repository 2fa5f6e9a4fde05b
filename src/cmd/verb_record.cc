// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "cmd/run_image.h"
#include "cmd/verbs.h"

namespace morsel {
namespace {

// The chunks that are to be stored, and what they have together.
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

// Stores the profile, an empty one to forget the last, and prints the facts.
Status StoreProfile(Tool& tool, Origin& origin, const ImageName& name,
                    const std::string& manifest_id, const Profile& profile) {
  RETURN_IF_ERROR(origin.SetStartupChunks(manifest_id, profile.chunks));
  Json json;
  json["name"] = name.ToString();
  json["manifest_id"] = manifest_id;
  json["startup_chunks"] = static_cast<uint64_t>(profile.chunks.size());
  json["startup_bytes"] = profile.bytes;
  const std::string done =
      profile.chunks.empty()
          ? "forgot its startup profile"
          : "recorded " + std::to_string(profile.chunks.size()) + " chunks, " +
                HumanSize(profile.bytes) + "; its next starts load them ahead";
  tool.Print(json, manifest_id, name.ToString() + ": " + done + "\n");
  return Ok();
}

Result<int> ForgetProfile(Tool& tool, const Arguments& arguments) {
  const std::string text = arguments.Get("NAME");
  if (IsSource(text))
    return UsageError("record",
                      "--forget wants the NAME of an image that the origin "
                      "has, and " +
                          text + " is a SOURCE");
  if (arguments.Has("for") || arguments.Has("COMMAND"))
    return UsageError("record",
                      "--forget runs nothing: it goes with no COMMAND and no "
                      "--for");
  ASSIGN_OR_RETURN(const ImageName name, ImageName::Parse(text));
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  ASSIGN_OR_RETURN(const ResolvedImage image, origin->Resolve(name));
  RETURN_IF_ERROR(StoreProfile(tool, *origin, name, image.manifest.id(), {}));
  return 0;
}

Result<RunOptions> ReadOptions(const Arguments& arguments) {
  ASSIGN_OR_RETURN(RunOptions options, ReadRunOptions(arguments));
  // Standard output has the facts and nothing else.
  options.output_to_stderr = true;
  if (!arguments.Has("for")) return options;
  constexpr double kMinSeconds = 0.001;
  constexpr double kMaxSeconds = 86'400;
  ASSIGN_OR_RETURN_AS(const double seconds, ParseSeconds(arguments.Get("for")),
                      "--for");
  if (seconds < kMinSeconds || seconds > kMaxSeconds)
    return MakeError(Code::kInvalid,
                     "--for " + arguments.Get("for") +
                         ": not a number of seconds from 0.001 to 86400");
  options.time_limit =
      std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
  return options;
}

// What of a run is to be stored. An error says why nothing is.
Result<Profile> CheckRun(const FinishedRun& run) {
  const RunReport& report = run.report;
  if (report.error) return *report.error;
  // Before the command's exit code, which may come of it, or not show it.
  if (!report.device_fault.empty())
    return MakeError(Code::kIo, "the device failed: nothing is recorded");
  if (report.exit_code != 0 && !report.timed_out)
    return MakeError(Code::kIo, "the command failed (exit code " +
                                    std::to_string(report.exit_code) +
                                    "): nothing is recorded");
  if (!report.startup_chunks.ok())
    return MakeError(Code::kIo,
                     "what was read is not known: nothing is "
                     "recorded: " +
                         report.startup_chunks.error().message);
  Profile profile =
      ProfileOf(run.image.resolved.manifest, *report.startup_chunks);
  if (profile.chunks.empty())
    return MakeError(Code::kIo,
                     "no chunk of the image was read: nothing is recorded "
                     "(--forget removes what was recorded before)");
  return profile;
}

}  // namespace

Result<int> RunRecord(Tool& tool, const Arguments& arguments) {
  if (arguments.Has("forget")) return ForgetProfile(tool, arguments);
  ASSIGN_OR_RETURN(const RunOptions options, ReadOptions(arguments));
  ASSIGN_OR_RETURN(const FinishedRun run,
                   RunImage(tool, arguments, options, "record"));
  PrintFaults(run.report, "record");
  ASSIGN_OR_RETURN(const Profile profile, CheckRun(run));
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  RETURN_IF_ERROR(StoreProfile(tool, *origin, run.image.name,
                               run.image.resolved.manifest.id(), profile));
  return 0;
}

}  // namespace morsel
