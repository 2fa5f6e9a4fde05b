// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/fd.h"
#include "base/random.h"
#include "cmd/documents.h"
#include "cmd/verbs.h"
#include "keys/file_key_service.h"
#include "origin/root_state.h"
#include "sandbox/doctor.h"

namespace morsel {
namespace {

Result<int> AdmitKey(Tool& tool, const Arguments& arguments) {
  const std::string root = arguments.Get("ROOT");
  const std::string key_file = arguments.Get("KEY_FILE");
  if (root.empty() || key_file.empty())
    return UsageError("roots", "admit wants ROOT and KEY_FILE");
  RETURN_IF_ERROR(tool.OpenOrigin(/*writing=*/false));
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  ASSIGN_OR_RETURN(KeyService* const keys, tool.Keys());
  ASSIGN_OR_RETURN(const std::unique_ptr<KeyService> admitted,
                   FileKeyService::Open(key_file));
  RETURN_IF_ERROR_AS(origin->AdmitKey(root, *keys, *admitted),
                     "admit a key to root " + root);
  Json json;
  json["root"] = root;
  json["key_id"] = admitted->KeyId();
  tool.Print(
      json, admitted->KeyId(),
      "key " + admitted->KeyId() + " may convert into root " + root + "\n");
  return 0;
}

Result<int> ListRoots(Tool& tool) {
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/false));
  ASSIGN_OR_RETURN(const std::vector<RootRow> rows, origin->ListRoots());
  Json json{Json::Array()};
  std::string ids;
  std::string text;
  for (const RootRow& row : rows) {
    Json item;
    item["id"] = row.id;
    item["state"] = row.state;
    item["created"] = FormatUtc(row.created_unix_seconds);
    item["key_ids"] = Json(row.key_ids);
    json.Append(std::move(item));
    ids += (ids.empty() ? "" : "\n") + row.id;
    text += row.id + "  " + row.state + "  " +
            FormatUtc(row.created_unix_seconds) + "  keys";
    for (const std::string& key_id : row.key_ids) text += " " + key_id;
    text += "\n";
  }
  tool.Print(json, ids, text);
  return 0;
}

Result<int> MakeRoot(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(Origin* const origin, tool.OpenOrigin(/*writing=*/true));
  ASSIGN_OR_RETURN(KeyService* const keys, tool.Keys());
  ASSIGN_OR_RETURN(
      const std::string id,
      origin->CreateRoot(*keys, SystemRandom(), arguments.Get("placement"),
                         arguments.Get("tenant")));
  Json json;
  json["root"] = id;
  tool.Print(json, id, "made the root " + id + "\n");
  return 0;
}

Result<int> RetireOne(Tool& tool, const Arguments& arguments) {
  const std::string id = arguments.Get("ROOT");
  if (!IsRootId(id))
    return UsageError("roots", "retire wants the id of a root");
  RETURN_IF_ERROR(tool.OpenStore(/*writing=*/false));
  ASSIGN_OR_RETURN(ObjectStore* const store, tool.OpenStore(/*writing=*/true));
  RETURN_IF_ERROR_AS(RetireRoot(*store, SystemClock(), id), "retire " + id);
  Json json;
  json["root"] = id;
  tool.Print(
      json, id,
      "retired " + id + "; `morsel gc run` moves its images and collects it\n");
  return 0;
}

}  // namespace

Result<int> RunRoots(Tool& tool, const Arguments& arguments) {
  const std::string action = arguments.Get("ACTION");
  if (action.empty()) return ListRoots(tool);
  if (action == "admit") return AdmitKey(tool, arguments);
  if (action == "new") return MakeRoot(tool, arguments);
  if (action == "retire") return RetireOne(tool, arguments);
  return UsageError("roots", "'" + action +
                                 "' is no action; there are 'admit', 'new' "
                                 "and 'retire'");
}

namespace {

// One row of the doctor's report.
void AddFinding(const Finding& finding, bool cleared, Json& json,
                std::string& text) {
  Json row = finding.ToJson();
  row["cleared"] = cleared;
  json.Append(std::move(row));
  text += finding.where + ": " + finding.what + (cleared ? " (cleared)" : "") +
          "\n";
  if (!cleared && !finding.suggestion.empty())
    text += "    " + finding.suggestion + "\n";
}

}  // namespace

Result<int> RunDoctor(Tool& tool, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::vector<Finding> findings, Examine(tool.config()));
  Json json{Json::Array()};
  std::string text;
  bool healthy = true;
  std::vector<Finding> fixable;
  for (const Finding& finding : findings) {
    if (finding.fixable && !arguments.Has("dry-run")) {
      fixable.push_back(finding);
      continue;
    }
    AddFinding(finding, /*cleared=*/false, json, text);
    healthy = false;
  }
  const std::vector<Finding> left = Repair(tool.config(), fixable);
  for (const Finding& finding : left)
    AddFinding(finding, /*cleared=*/false, json, text);
  for (const Finding& finding : fixable) {
    const bool failed =
        std::any_of(left.begin(), left.end(), [&](const Finding& other) {
          return other.kind == finding.kind && other.where == finding.where;
        });
    if (!failed) AddFinding(finding, /*cleared=*/true, json, text);
  }
  if (findings.empty()) text = "all is well\n";
  tool.Print(json, "", text);
  return healthy && left.empty() ? 0 : 1;
}

Result<int> RunCompletion(Tool&, const Arguments& arguments) {
  const std::string shell = arguments.Get("SHELL");
  if (shell != "bash" && shell != "zsh")
    return UsageError("completion",
                      "none for '" + shell + "'; there are 'bash' and 'zsh'");
  std::fputs(BashCompletion().c_str(), stdout);
  return 0;
}

Result<int> RunMan(Tool&, const Arguments& arguments) {
  const std::string dir = arguments.Get("DIR");
  RETURN_IF_ERROR(MakeDirectories(dir, 0755));
  RETURN_IF_ERROR(
      WriteFileAtomically(dir + "/morsel.1", AsBytes(ManOverview()), 0644));
  for (const VerbSpec& verb : Verbs())
    RETURN_IF_ERROR(WriteFileAtomically(dir + "/morsel-" + verb.name + ".1",
                                        AsBytes(ManOf(verb)), 0644));
  return 0;
}

}  // namespace morsel
