// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"
#include "cmd/verbs.h"
#include "keys/file_key_service.h"
#include "keys/open_key_service.h"
#include "origin/rotate_keys.h"
#include "sandbox/named_overlay.h"

namespace morsel {
namespace {

Result<int> ListKeys(Tool& tool) {
  const Config& config = tool.config();
  const std::string path = tool.KeyPath();
  const bool in_file = UsesKeyFile(config);
  std::vector<std::string> ids;
  if (in_file) {
    ASSIGN_OR_RETURN(ids, FileKeyService::List(path));
  } else {
    ASSIGN_OR_RETURN(const auto keys, OpenKeyService(config, path));
    ids.push_back(keys->KeyId());
  }
  const std::string place = in_file ? path : config.Text("kms.key");
  Json json;
  json["provider"] = config.Text("keys.provider");
  json[in_file ? "file" : "key"] = place;
  json["key_id"] = ids.back();
  json["key_ids"] = Json(ids);
  std::string text;
  for (const std::string& id : ids)
    text += id + "  " + place + (&id == &ids.back() ? "" : "  (older)") + "\n";
  tool.Print(json, ids.back(), text);
  return 0;
}

Status RequireKeyFile(Tool& tool, const std::string& action) {
  if (UsesKeyFile(tool.config())) return Ok();
  return MakeError(Code::kInvalid, "keys.provider is " +
                                       tool.config().Text("keys.provider") +
                                       ": '" + action +
                                       "' is for key files; make keys with "
                                       "the service's own tools");
}

Result<int> AddKey(Tool& tool) {
  RETURN_IF_ERROR(RequireKeyFile(tool, "add"));
  const std::string path = tool.KeyPath();
  ASSIGN_OR_RETURN(const std::string id,
                   FileKeyService::Add(path, SystemRandom()));
  Json json;
  json["file"] = path;
  json["key_id"] = id;
  tool.Print(json, id,
             id + "  " + path +
                 "\nit wraps from now on; 'morsel keys rotate' wraps anew what "
                 "older keys wrapped\n");
  return 0;
}

int PrintRotation(Tool& tool, const RotationReport& report, uint64_t overlays,
                  const std::string& key_id) {
  Json json;
  json["key_id"] = key_id;
  json["records"] = report.record_count;
  json["wrappings"] = report.wrapping_count;
  json["rewrapped"] = report.rewrapped_count;
  json["of_other_keys"] = report.foreign_count;
  json["salts"] = report.salt_count;
  json["overlays"] = overlays;
  json["damages"] = Json(report.damages);
  std::string text = std::to_string(report.rewrapped_count) + " of " +
                     std::to_string(report.wrapping_count) +
                     " wrapped keys in " + std::to_string(report.record_count) +
                     " records, and the salts of " +
                     std::to_string(report.salt_count) +
                     " roots, are wrapped anew by the key " + key_id + "\n";
  if (overlays > 0)
    text += std::to_string(overlays) + " named overlays of this machine too\n";
  if (report.foreign_count > 0)
    text += std::to_string(report.foreign_count) +
            " are of keys that are not held here, and stay\n";
  for (const std::string& damage : report.damages) text += damage + "\n";
  tool.Print(json, key_id, text);
  return report.damages.empty() ? 0 : ExitCodeOf(Code::kCorrupt);
}

Result<int> Rotate(Tool& tool, const Arguments& arguments) {
  // Opened for reading first, so that a wrong --origin makes no new one.
  RETURN_IF_ERROR(tool.OpenOrigin(/*writing=*/false));
  RETURN_IF_ERROR(tool.OpenOrigin(/*writing=*/true));
  ASSIGN_OR_RETURN(auto keys, OpenKeyService(tool.config(), tool.KeyPath()));
  if (const std::string old = arguments.Get("OLD_KEY_FILE"); !old.empty()) {
    ASSIGN_OR_RETURN(auto older, FileKeyService::Open(old));
    keys = MakeKeyChain(std::move(keys), std::move(older));
  }
  ASSIGN_OR_RETURN(const RotationReport report,
                   RotateKeys(tool.Store(), *keys, arguments.Has("all")));
  ASSIGN_OR_RETURN(const uint64_t overlays,
                   RotateOverlayKeys(tool.config(), *keys));
  return PrintRotation(tool, report, overlays, keys->KeyId());
}

}  // namespace

Result<int> RunKeys(Tool& tool, const Arguments& arguments) {
  const std::string action = arguments.Get("ACTION");
  if (action.empty() || action == "list") return ListKeys(tool);
  if (action == "add") return AddKey(tool);
  if (action == "rotate") return Rotate(tool, arguments);
  if (action != "create")
    return UsageError("keys", "'" + action +
                                  "' is no action; there are list, create, "
                                  "add and rotate");
  RETURN_IF_ERROR(RequireKeyFile(tool, "create"));
  RETURN_IF_ERROR(CreateKeyFile(tool.KeyPath()));
  return ListKeys(tool);
}

}  // namespace morsel
