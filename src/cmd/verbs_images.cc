// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "base/fd.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "cmd/note_read.h"
#include "cmd/verbs.h"
#include "image/convert.h"
#include "origin/verify.h"

namespace morsel {
namespace {

Json ToJson(const ConvertReport& report) {
  Json json;
  json["name"] = report.name.ToString();
  json["image_digest"] = report.image_digest;
  json["manifest_id"] = report.manifest_id;
  json["root"] = report.root;
  json["virtual_size"] = report.virtual_size;
  json["chunk_count"] = report.chunk_count;
  json["stored_bytes"] = report.stored_bytes;
  json["new_chunk_count"] = report.new_chunk_count;
  json["new_bytes"] = report.new_bytes;
  json["resealed_chunk_count"] = report.resealed_chunk_count;
  json["rewritten_chunk_count"] = report.rewritten_chunk_count;
  json["file_bytes"] = report.file_bytes;
  json["entry_count"] = report.entry_count;
  json["warnings"] = Json(report.warnings);
  return json;
}

std::string ToText(const ConvertReport& report) {
  return report.name.ToString() + "@" + report.manifest_id + "\n" +
         std::to_string(report.entry_count) + " entries, " +
         HumanSize(report.file_bytes) + " in files; " +
         std::to_string(report.chunk_count) + " chunks, " +
         HumanSize(report.stored_bytes) +
         "; new in the origin: " + std::to_string(report.new_chunk_count) +
         " chunks, " + HumanSize(report.new_bytes) +
         (report.rewritten_chunk_count == 0
              ? ""
              : "; written anew: " +
                    std::to_string(report.rewritten_chunk_count)) +
         "\n";
}

Result<ConvertRequest> MakeRequest(const Config& config,
                                   const std::string& source,
                                   const std::string& platform) {
  ConvertRequest request{.source = source, .platform = platform, .name = {}};
  request.placement = config.Text("convert.placement");
  request.tenant = config.Text("convert.tenant");
  request.spool_dir = config.StateDir() + "/spool";
  RETURN_IF_ERROR(MakeDirectories(request.spool_dir, 0700));
  const auto threads = static_cast<size_t>(config.Integer("convert.threads"));
  request.thread_count = threads == 0 ? UsableCores() : threads;
  return request;
}

}  // namespace

// With what to do next, where the error itself cannot know.
Error ConvertFailed(Error error) {
  if (error.code == Code::kExhausted || error.code == Code::kUnavailable ||
      error.code == Code::kTimeout)
    error.message +=
        "; mend that and run it again: it goes on with the chunks that are "
        "stored";
  return error;
}

Result<ImageName> ConvertSource(Tool& tool, const ConvertWords& words) {
  const Config& config = tool.config();
  ASSIGN_OR_RETURN(ConvertRequest request,
                   MakeRequest(config, words.source, words.platform));
  request.rewrite = words.rewrite;
  if (!words.name.empty()) {
    ASSIGN_OR_RETURN(request.name, ImageName::Parse(words.name));
    if (!request.name.manifest_id.empty())
      return MakeError(Code::kInvalid,
                       words.name + ": a manifest id cannot be chosen");
  }
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  ASSIGN_OR_RETURN(KeyService* const keys, tool.Keys());
  Progress progress(SystemClock(), tool.draws_progress());
  const Result<ConvertReport> done =
      ConvertImage(request, {*origin, *keys, SystemClock(), progress});
  if (!done.ok()) return ConvertFailed(Error(done.error()).Wrap(words.source));
  progress.End();
  for (const std::string& warning : done->warnings)
    PrintMessage("warning: " + warning);
  if (words.report) tool.Print(ToJson(*done), done->manifest_id, ToText(*done));
  return done->name;
}

namespace {

Result<int> ExportFileSystem(Tool& tool, const Arguments& arguments) {
  const std::string path = arguments.Get("ext4");
  Progress progress(SystemClock(), tool.draws_progress());
  ASSIGN_OR_RETURN(const ConvertRequest request,
                   MakeRequest(tool.config(), arguments.Get("SOURCE"),
                               arguments.Get("platform")));
  RETURN_IF_ERROR_AS(ExportExt4(request, path, progress), request.source);
  progress.End();
  Json json;
  json["ext4"] = path;
  tool.Print(json, path, path + "\n");
  return 0;
}

}  // namespace

Result<int> RunConvert(Tool& tool, const Arguments& arguments) {
  if (arguments.Has("ext4")) return ExportFileSystem(tool, arguments);
  RETURN_IF_ERROR(ConvertSource(tool, {.source = arguments.Get("SOURCE"),
                                       .name = arguments.Get("NAME"),
                                       .platform = arguments.Get("platform"),
                                       .rewrite = arguments.Has("rewrite"),
                                       .report = true}));
  return 0;
}

namespace {

// The clear facts of a resolved image.
Json DescribeImage(const ImageName& name, const ResolvedImage& image) {
  const Manifest& manifest = image.manifest;
  Json json;
  json["name"] = name.ToString();
  json["image_digest"] = image.image_digest;
  json["manifest_id"] = manifest.id();
  json["manifest_bytes"] = static_cast<uint64_t>(manifest.bytes().size());
  json["root"] = image.record.root;
  json["root_of_birth"] = manifest.root_of_birth();
  json["salt_id"] = manifest.salt_id();
  json["virtual_size"] = manifest.virtual_size();
  json["chunk_count"] = static_cast<uint64_t>(manifest.chunk_count());
  json["stored_bytes"] = manifest.stored_bytes();
  json["startup_chunks"] =
      static_cast<uint64_t>(image.record.startup_chunks.size());
  Json contexts{Json::Array()};
  for (const auto& [context, wrapped] : image.record.wrapped_keys) {
    Json row;
    row["context"] = context;
    row["key_id"] = wrapped.key_id;
    contexts.Append(std::move(row));
  }
  json["wrappings"] = std::move(contexts);
  return json;
}

void AddChunks(const Manifest& manifest, Json& json, std::string& text) {
  Json rows{Json::Array()};
  for (size_t i = 0; i < manifest.chunk_count(); ++i) {
    const ManifestChunk chunk = manifest.ChunkAt(i);
    Json row;
    row["index"] = chunk.index;
    row["stored_length"] = chunk.stored_length;
    row["name"] = chunk.name.ToString();
    rows.Append(std::move(row));
    text += std::to_string(chunk.index) + " " +
            std::to_string(chunk.stored_length) + " " + chunk.name.ToString() +
            "\n";
  }
  json["chunks"] = std::move(rows);
}

std::string DescribeText(const ImageName& name, const ResolvedImage& image) {
  const Manifest& manifest = image.manifest;
  return "name          " + name.ToString() + "\n" + "image         " +
         image.image_digest + "\n" + "manifest      " + manifest.id() + ", " +
         HumanSize(manifest.bytes().size()) + "\n" + "root          " +
         image.record.root + "\n" + "virtual size  " +
         HumanSize(manifest.virtual_size()) + "\n" + "chunks        " +
         std::to_string(manifest.chunk_count()) + ", " +
         HumanSize(manifest.stored_bytes()) + "\n" + "startup       " +
         std::to_string(image.record.startup_chunks.size()) +
         " chunks recorded\n";
}

// What the sealed part says of the image's config. kDenied: another key.
Result<std::string> ReadSealedConfig(Tool& tool, const ImageName& name,
                                     const ResolvedImage& image) {
  ASSIGN_OR_RETURN(const SecretKey data_key, UnwrapKeyOf(tool, name, image));
  ASSIGN_OR_RETURN(Manifest manifest,
                   Manifest::Parse(CopyBytes(image.manifest.bytes())));
  ASSIGN_OR_RETURN(const OpenManifest opened,
                   OpenManifest::Open(std::move(manifest), data_key));
  return std::string(opened.config());
}

}  // namespace

Result<int> RunInspect(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const ImageName name,
                   ImageName::Parse(arguments.Get("NAME")));
  ASSIGN_OR_RETURN(const ResolvedImage image, ResolveNamed(tool, name));
  // Before its key is tried: without one it was read, too.
  NoteRead(tool, image.record, "inspect");
  std::string config;
  if (!arguments.Has("no-key")) {
    Result<std::string> read = ReadSealedConfig(tool, name, image);
    if (!read.ok() && read.error().code == Code::kDenied)
      return MakeError(Code::kDenied, read.error().message +
                                          " (--no-key shows what can be known "
                                          "without it)");
    if (!read.ok()) return std::move(read).error();
    config = std::move(read).value();
  }
  if (arguments.Has("oci-config")) {
    std::printf("%s\n", config.c_str());
    return 0;
  }
  Json json = DescribeImage(name, image);
  std::string text = DescribeText(name, image);
  if (!config.empty()) {
    ASSIGN_OR_RETURN(json["config"], Json::Parse(config));
  }
  if (arguments.Has("chunks")) AddChunks(image.manifest, json, text);
  tool.Print(json, image.manifest.id(), text);
  return 0;
}

Result<int> RunVerify(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const ImageName name,
                   ImageName::Parse(arguments.Get("NAME")));
  ASSIGN_OR_RETURN(const ResolvedImage image, ResolveNamed(tool, name));
  NoteRead(tool, image.record, "verify");
  if (!arguments.Has("no-key"))
    RETURN_IF_ERROR_AS(ReadSealedConfig(tool, name, image),
                       "the sealed part of " + name.ToString());
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/false));
  KeyService* keys = nullptr;
  if (!arguments.Has("no-key")) {
    ASSIGN_OR_RETURN(keys, tool.Keys());
  }
  RETURN_IF_ERROR_AS(origin->CheckRoot(image.record.root, keys),
                     "the root of " + name.ToString());
  Progress progress(SystemClock(), tool.draws_progress());
  progress.Begin("Checking chunks", image.manifest.stored_bytes());
  ASSIGN_OR_RETURN(
      const VerifyReport report,
      VerifyImage(*origin, image, UsableCores() * 2,
                  [&](uint64_t byte_count) { progress.Add(byte_count); }));
  progress.End();
  Json json;
  Json damages{Json::Array()};
  std::string text;
  for (const ChunkDamage& damage : report.damages) {
    Json row;
    row["index"] = damage.index;
    row["name"] = damage.name.ToString();
    row["what"] = damage.what;
    damages.Append(std::move(row));
    text += "chunk " + std::to_string(damage.index) + " " +
            damage.name.ToString() + ": " + damage.what + "\n";
  }
  json["name"] = name.ToString();
  json["manifest_id"] = image.manifest.id();
  json["checked_chunks"] = report.checked_chunks;
  json["damaged_chunks"] = report.damaged_chunks;
  json["damages"] = std::move(damages);
  text += name.ToString() + ": " + std::to_string(report.checked_chunks) +
          " chunks checked, " + std::to_string(report.damaged_chunks) +
          " damaged\n";
  if (report.damaged_chunks > 0)
    text +=
        "'morsel convert --rewrite' of its source writes all of its chunks "
        "anew, if it goes to the same root; else restore them from a copy of "
        "the origin\n";
  tool.Print(json, image.manifest.id(), text);
  return report.damaged_chunks == 0 ? 0 : ExitCodeOf(Code::kCorrupt);
}

namespace {

// One image of the list: its row for people, and its JSON.
std::string DescribeRow(Origin& origin, const ImageRow& row, Json& item,
                        bool& is_damaged) {
  const std::string name = row.name.ToString();
  item["name"] = name;
  if (!row.damage.empty()) {
    item["error"] = row.damage;
    is_damaged = true;
    return "damaged: " + row.damage + "\n";
  }
  item["manifest_id"] = row.pointer.manifest_id;
  item["image_digest"] = row.pointer.image_digest;
  item["created"] = FormatUtc(row.pointer.created_unix_seconds);
  std::string text = FormatUtc(row.pointer.created_unix_seconds) + "  " +
                     row.pointer.manifest_id.substr(0, 12);
  const Result<ManifestRecord> record =
      origin.ReadRecord(row.pointer.manifest_id);
  if (record.ok()) {
    item["stored_bytes"] = record->stored_bytes;
    item["chunk_count"] = record->chunk_count;
    text += "  " + HumanSize(record->stored_bytes);
  } else {
    item["error"] = record.error().message;
    is_damaged = is_damaged || record.error().code == Code::kCorrupt;
    text += "  (" + record.error().message + ")";
  }
  return text + "  " + name + "\n";
}

}  // namespace

Result<int> RunImages(Tool& tool, const Arguments&) {
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/false));
  ASSIGN_OR_RETURN(const std::vector<ImageRow> rows, origin->ListImages());
  Json json{Json::Array()};
  std::string ids;
  std::string text;
  bool is_damaged = false;
  for (const ImageRow& row : rows) {
    Json item;
    text += DescribeRow(*origin, row, item, is_damaged);
    ids += (ids.empty() ? "" : "\n") + row.name.ToString();
    json.Append(std::move(item));
  }
  tool.Print(json, ids, text);
  return is_damaged ? ExitCodeOf(Code::kCorrupt) : 0;
}

Result<int> RunTag(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const ImageName from,
                   ImageName::Parse(arguments.Get("NAME")));
  ASSIGN_OR_RETURN(const ImageName to, ImageName::Parse(arguments.Get("NEW")));
  // Opened for reading first, so that a wrong --origin makes no new one.
  RETURN_IF_ERROR(tool.OpenOrigin(/*writing=*/false));
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  ASSIGN_OR_RETURN(KeyService* const keys, tool.Keys());
  const Status tagged = origin->TagImage(from, to, *keys);
  if (!tagged.ok())
    if (const Result<ResolvedImage> image = origin->Resolve(from); image.ok())
      NoteRead(tool, image->record, "tag");
  RETURN_IF_ERROR_AS(tagged, "tag " + from.ToString());
  Json json;
  json["name"] = to.ToString();
  tool.Print(json, to.ToString(), to.ToString() + "\n");
  return 0;
}

Result<int> RunRm(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const ImageName name,
                   ImageName::Parse(arguments.Get("NAME")));
  RETURN_IF_ERROR(tool.OpenOrigin(/*writing=*/false));
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  RETURN_IF_ERROR_AS(origin->RemovePointer(name), "remove " + name.ToString());
  Json json;
  json["removed"] = name.ToString();
  tool.Print(json, name.ToString(),
             "removed " + name.ToString() +
                 "; its space returns when its root is collected\n");
  return 0;
}

}  // namespace morsel
