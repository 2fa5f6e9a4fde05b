// SPDX-License-Identifier: Apache-2.0
#include "cmd/tool.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/progress.h"
#include "base/random.h"
#include "cmd/note_read.h"
#include "keys/file_key_service.h"
#include "keys/open_key_service.h"
#include "store/open_store.h"
#include "store/s3_address.h"

namespace morsel {
namespace {

Status ApplyCommonOptions(const Arguments& arguments, Config& config) {
  static constexpr std::pair<const char*, const char*> kSettings[] = {
      {"state-dir", "state_dir"},
      {"run-dir", "run_dir"},
      {"origin", "origin"},
      {"key-file", "key_file"},
  };
  for (const auto& [option, key] : kSettings)
    if (arguments.Has(option))
      RETURN_IF_ERROR(config.Set(key, arguments.Get(option)));
  return Ok();
}

// Agents and caches have working folders of their own, and what the kernel says
// of mounts and loop devices names files by their one canonical path.
Status MakeCanonical(const char* key, Config& config) {
  const std::string& path = config.Text(key);
  if (path.empty()) return Ok();
  ASSIGN_OR_RETURN_AS(std::string canonical, CanonicalPath(path), key);
  return config.Set(key, std::move(canonical));
}

}  // namespace

Result<std::unique_ptr<Tool>> Tool::Make(const Arguments& arguments) {
  ASSIGN_OR_RETURN(Config config, Config::Load(arguments.Get("config")));
  RETURN_IF_ERROR(ApplyCommonOptions(arguments, config));
  for (const char* key : {"state_dir", "run_dir"})
    RETURN_IF_ERROR(MakeCanonical(key, config));
  // From here on the origin says all about itself, wherever it is handed to.
  RETURN_IF_ERROR(config.Set("origin", OriginAddress(config)));
  std::unique_ptr<Tool> tool(new Tool(std::move(config)));
  tool->quiet_ = arguments.Has("quiet");
  tool->json_ = arguments.Has("json");
  return tool;
}

bool Tool::draws_progress() const {
  return !quiet_ && !json_ && StderrIsTerminal();
}

std::string Tool::KeyPath() const {
  const std::string& path = config_.Text("key_file");
  return path.empty() ? config_.StateDir() + "/key" : path;
}

Result<Origin*> Tool::OpenOrigin(bool writing) {
  if (origin_ != nullptr && (writing_ || !writing)) return origin_.get();
  if (writing) RETURN_IF_ERROR(MakeDirectories(config_.StateDir(), 0755));
  Result<std::unique_ptr<ObjectStore>> store = morsel::OpenStore(
      config_.Origin(), writing ? Access::kWrite : Access::kRead);
  if (!writing && !store.ok() && store.error().code == Code::kNotFound)
    return MakeError(Code::kNotFound,
                     "there is no origin at " + config_.Origin() +
                         " yet; 'morsel convert' makes it, --origin names "
                         "another");
  if (!store.ok()) return std::move(store).error();
  store_ = std::move(store).value();
  origin_ = std::make_unique<Origin>(*store_, SystemClock());
  writing_ = writing;
  return origin_.get();
}

Result<ObjectStore*> Tool::OpenStore(bool writing) {
  RETURN_IF_ERROR(OpenOrigin(writing));
  return store_.get();
}

Result<KeyService*> Tool::Keys() {
  if (keys_ != nullptr) return keys_.get();
  CHECK(origin_ != nullptr);
  if (writing_ && UsesKeyFile(config_)) RETURN_IF_ERROR(MakeFirstKey());
  ASSIGN_OR_RETURN(keys_, OpenKeyService(config_, KeyPath()));
  return keys_.get();
}

Status Tool::MakeFirstKey() {
  const std::string path = KeyPath();
  if (std::filesystem::exists(path)) return Ok();
  ASSIGN_OR_RETURN(const bool has_roots, origin_->HasRoots());
  // Looked at again: another convert may have made both meanwhile.
  if (std::filesystem::exists(path)) return Ok();
  if (has_roots)
    return MakeError(Code::kDenied,
                     "the key file " + path + " is missing, and the origin " +
                         config_.Origin() +
                         " holds images of another key: name the right one "
                         "with --key-file, or make one with 'morsel keys "
                         "create' and have it admitted with 'morsel roots "
                         "admit'");
  const Status made = CreateKeyFile(path);
  if (!made.ok() && made.error().code == Code::kExists) return Ok();
  RETURN_IF_ERROR(made);
  if (!quiet_)
    std::fprintf(stderr,
                 "made the key file %s: whoever has it can read the images "
                 "that it wraps; keep a copy\n",
                 path.c_str());
  return Ok();
}

void Tool::Print(const Json& json, const std::string& id,
                 const std::string& text) const {
  std::string out = text;
  if (quiet_) out = id.empty() ? "" : id + "\n";
  if (json_) out = json.Dump() + "\n";
  std::fwrite(out.data(), 1, out.size(), stdout);
}

Status Tool::Flush() const {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return Ok();
  return ErrnoError(errno, "write to standard output");
}

void PrintMessage(const std::string& message) {
  std::fprintf(stderr, "morsel: %s\n", Printable(message).c_str());
}

void PrintError(const std::string& verb, const Error& error) {
  PrintMessage(verb + ": " + error.message + " (" +
               std::string(CodeName(error.code)) + ")");
}

Status CreateKeyFile(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  if (!parent.empty()) RETURN_IF_ERROR(MakeDirectories(parent, 0755));
  return FileKeyService::Create(path, SystemRandom());
}

int UsageError(const std::string& verb, const std::string& message) {
  PrintMessage(verb + ": " + message + "; see 'morsel help " + verb + "'");
  return 2;
}

int ExitCodeOf(Code code) {
  switch (code) {
    case Code::kNotFound:
      return 3;
    case Code::kCorrupt:
      return 4;
    case Code::kUnavailable:
    case Code::kTimeout:
    case Code::kExhausted:
      return 5;
    default:
      return 1;
  }
}

bool IsSource(std::string_view text) {
  for (const std::string_view scheme :
       {"oci:", "oci-archive:", "docker-archive:", "docker://"})
    if (text.substr(0, scheme.size()) == scheme) return true;
  return false;
}

Result<ResolvedImage> ResolveNamed(Tool& tool, const ImageName& name) {
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/false));
  Result<ResolvedImage> resolved = origin->Resolve(name);
  // Not found: that says what and what to do next already.
  if (!resolved.ok() && resolved.error().code != Code::kNotFound)
    return std::move(resolved).error().Wrap("image " + name.ToString());
  return resolved;
}

Result<SecretKey> UnwrapKeyOf(Tool& tool, const ImageName& name,
                              const ResolvedImage& image) {
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/false));
  ASSIGN_OR_RETURN(KeyService* const keys, tool.Keys());
  ASSIGN_OR_RETURN_AS(SecretKey data_key,
                      origin->UnwrapDataKey(image.record, name, *keys),
                      "image " + name.ToString());
  return data_key;
}

Result<UnlockedImage> Unlock(Tool& tool, const std::string& text,
                             const std::string& verb) {
  ASSIGN_OR_RETURN(ImageName name, ImageName::Parse(text));
  ASSIGN_OR_RETURN(ResolvedImage resolved, ResolveNamed(tool, name));
  Result<SecretKey> data_key = UnwrapKeyOf(tool, name, resolved);
  if (!data_key.ok()) {
    NoteRead(tool, resolved.record, verb);
    return std::move(data_key).error();
  }
  return UnlockedImage{.name = std::move(name),
                       .resolved = std::move(resolved),
                       .data_key = std::move(data_key).value()};
}

}  // namespace morsel
