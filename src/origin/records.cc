// SPDX-License-Identifier: Apache-2.0
#include "origin/records.h"

#include <algorithm>

#include "origin/document.h"

namespace morsel {
namespace {

constexpr size_t kMaxLabelBytes = 128;
constexpr size_t kMaxContextBytes = 512;
constexpr size_t kMaxBlobDigits = 16 * 1024;
constexpr size_t kMaxHistory = 16;

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

bool IsPrintable(std::string_view text, size_t limit) {
  return text.size() <= limit &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c <= '~'; });
}

bool IsRootStateName(std::string_view text) {
  return text == kRootActive || text == kRootRetired || text == kRootExpired ||
         text == kRootDeleted;
}

bool IsImageDigest(std::string_view text) {
  constexpr std::string_view kAlgorithm = "sha256:";
  return text.empty() || (text.starts_with(kAlgorithm) &&
                          IsManifestId(text.substr(kAlgorithm.size())));
}

Error Bad(std::string_view member) {
  return MakeError(Code::kCorrupt,
                   "member " + std::string(member) + ": not as it must be");
}

// The member as a string that `valid` accepts.
Result<std::string> GetChecked(const Json& json, std::string_view member,
                               const auto& valid) {
  const Json* found = json.Find(member);
  if (found == nullptr || found->AsString() == nullptr ||
      !valid(*found->AsString()))
    return Bad(member);
  return *found->AsString();
}

// The same, or empty where the member is null.
Result<std::string> GetOptional(const Json& json, std::string_view member,
                                const auto& valid) {
  const Json* found = json.Find(member);
  if (found == nullptr) return Bad(member);
  if (found->is_null()) return std::string();
  return GetChecked(json, member, valid);
}

Result<int64_t> GetNatural(const Json& json, std::string_view member) {
  const Json* found = json.Find(member);
  if (found == nullptr || found->AsInt() == nullptr || *found->AsInt() < 0)
    return Bad(member);
  return *found->AsInt();
}

// A host whose clock is that wrong must not write what nobody can read.
int64_t NotBefore1970(int64_t unix_seconds) {
  return std::max<int64_t>(0, unix_seconds);
}

Json NullIfEmpty(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace

bool IsRootId(std::string_view text) {
  return text.size() == 13 && text.front() == 'r' && IsHex(text.substr(1));
}

bool IsManifestId(std::string_view text) {
  return text.size() == 64 && IsHex(text);
}

bool IsKeyId(std::string_view text) {
  return !text.empty() && text.size() <= 128 && IsHex(text);
}

std::string RootStateKey(const std::string& root) {
  return "roots/" + root + "/state.json";
}
std::string SaltFolderKey(const std::string& root) {
  return "roots/" + root + "/salts/";
}
std::string SaltKey(const std::string& root, const std::string& key_id) {
  return SaltFolderKey(root) + key_id + ".json";
}
std::string ManifestKey(const std::string& root, const std::string& id) {
  return "roots/" + root + "/manifests/" + id;
}
std::string RecordKey(const std::string& id) {
  return "manifests/" + id + ".json";
}
std::string PointerKey(const ImageName& name) {
  return "images/" + name.repository + "/" + name.tag + ".json";
}

Result<ImageName> NameOfPointerKey(std::string_view key) {
  constexpr std::string_view kPrefix = "images/";
  constexpr std::string_view kSuffix = ".json";
  const size_t slash = key.rfind('/');
  if (!key.starts_with(kPrefix) || !key.ends_with(kSuffix) ||
      slash < kPrefix.size() || slash + kSuffix.size() >= key.size())
    return MakeError(Code::kInvalid, std::string(key) + " is no pointer");
  const std::string_view tag =
      key.substr(slash + 1, key.size() - kSuffix.size() - slash - 1);
  ASSIGN_OR_RETURN(
      ImageName name,
      ImageName::Parse(
          std::string(key.substr(kPrefix.size(), slash - kPrefix.size())) +
          ":" + std::string(tag)));
  if (PointerKey(name) != key)
    return MakeError(Code::kInvalid, std::string(key) + " is no pointer");
  return name;
}

Json EncodeRootState(const RootState& state) {
  Json json;
  json["state"] = state.state;
  json["placement"] = state.placement;
  json["tenant"] = state.tenant;
  Json& history = json["history"];
  for (const RootState::Step& step : state.history) {
    Json row;
    row["state"] = step.state;
    row["at"] = NotBefore1970(step.at_unix_seconds);
    history.Append(std::move(row));
  }
  return json;
}

Result<RootState> DecodeRootState(const Json& json) {
  RETURN_IF_ERROR(
      CheckMembers(json, {"state", "history", "placement", "tenant"}));
  const auto is_label = [](std::string_view text) {
    return IsPrintable(text, kMaxLabelBytes);
  };
  RootState state;
  ASSIGN_OR_RETURN(state.state, GetChecked(json, "state", IsRootStateName));
  ASSIGN_OR_RETURN(state.placement, GetChecked(json, "placement", is_label));
  ASSIGN_OR_RETURN(state.tenant, GetChecked(json, "tenant", is_label));
  const Json* history = json.Find("history");
  if (history == nullptr || history->AsArray() == nullptr ||
      history->AsArray()->size() > kMaxHistory)
    return Bad("history");
  for (const Json& row : *history->AsArray()) {
    RETURN_IF_ERROR(CheckMembers(row, {"state", "at"}));
    RootState::Step step;
    ASSIGN_OR_RETURN(step.state, GetChecked(row, "state", IsRootStateName));
    ASSIGN_OR_RETURN(step.at_unix_seconds, GetNatural(row, "at"));
    state.history.push_back(std::move(step));
  }
  if (state.history.empty() || state.history.back().state != state.state)
    return Bad("history");
  return state;
}

Json EncodeWrappedKey(const WrappedKey& wrapped) {
  Json json;
  json["key_id"] = wrapped.key_id;
  json["blob"] = wrapped.blob_hex;
  return json;
}

Result<WrappedKey> DecodeWrappedKey(const Json& json) {
  RETURN_IF_ERROR(CheckMembers(json, {"key_id", "blob"}));
  WrappedKey wrapped;
  ASSIGN_OR_RETURN(wrapped.key_id, GetChecked(json, "key_id", IsKeyId));
  ASSIGN_OR_RETURN(wrapped.blob_hex,
                   GetChecked(json, "blob", [](std::string_view text) {
                     return !text.empty() && text.size() <= kMaxBlobDigits &&
                            text.size() % 2 == 0 && IsHex(text);
                   }));
  return wrapped;
}

Json EncodeRecord(const ManifestRecord& record) {
  Json json;
  json["id"] = record.id;
  json["root"] = NullIfEmpty(record.root);
  json["next_root"] = NullIfEmpty(record.next_root);
  json["virtual_size"] = record.virtual_size;
  json["stored_bytes"] = record.stored_bytes;
  json["chunk_count"] = record.chunk_count;
  Json& keys = json["wrapped_keys"];
  keys = Json(Json::Object());
  for (const auto& [context, wrapped] : record.wrapped_keys)
    keys[context] = EncodeWrappedKey(wrapped);
  if (record.startup_chunks.empty()) return json;
  json["startup_chunks"] = record.startup_chunks;
  return json;
}

Result<ManifestRecord> DecodeRecord(const Json& json) {
  RETURN_IF_ERROR(CheckMembers(
      json, {"id", "root", "next_root", "wrapped_keys", "virtual_size",
             "stored_bytes", "chunk_count", "startup_chunks"}));
  ManifestRecord record;
  ASSIGN_OR_RETURN(record.id, GetChecked(json, "id", IsManifestId));
  ASSIGN_OR_RETURN(record.root, GetOptional(json, "root", IsRootId));
  ASSIGN_OR_RETURN(record.next_root, GetOptional(json, "next_root", IsRootId));
  ASSIGN_OR_RETURN(const int64_t virtual_size,
                   GetNatural(json, "virtual_size"));
  ASSIGN_OR_RETURN(const int64_t stored_bytes,
                   GetNatural(json, "stored_bytes"));
  ASSIGN_OR_RETURN(const int64_t chunk_count, GetNatural(json, "chunk_count"));
  record.virtual_size = static_cast<uint64_t>(virtual_size);
  record.stored_bytes = static_cast<uint64_t>(stored_bytes);
  record.chunk_count = static_cast<uint64_t>(chunk_count);
  const Json* keys = json.Find("wrapped_keys");
  if (keys == nullptr || keys->AsObject() == nullptr)
    return Bad("wrapped_keys");
  for (const auto& [context, wrapped] : *keys->AsObject()) {
    if (context.empty() || !IsPrintable(context, kMaxContextBytes))
      return Bad("wrapped_keys");
    ASSIGN_OR_RETURN(record.wrapped_keys[context], DecodeWrappedKey(wrapped));
  }
  // A hint, which takes nothing else of the image away.
  Result<std::vector<uint32_t>> chunks = json.GetNumbers("startup_chunks");
  record.has_bad_profile = !chunks.ok() || chunks->size() > kMaxStartupChunks;
  if (!record.has_bad_profile)
    record.startup_chunks = std::move(chunks).value();
  return record;
}

Json EncodePointer(const PointerState& pointer) {
  Json json;
  json["image_digest"] = pointer.image_digest;
  json["created"] = NotBefore1970(pointer.created_unix_seconds);
  Json& placements = json["placements"];
  placements = Json(Json::Object());
  for (const auto& [label, slot] : pointer.placements) {
    Json& row = placements[label];
    row["current"] = NullIfEmpty(slot.current);
    row["next"] = NullIfEmpty(slot.next);
  }
  return json;
}

Result<PointerState> DecodePointer(const Json& json) {
  RETURN_IF_ERROR(
      CheckMembers(json, {"image_digest", "placements", "created"}));
  PointerState pointer;
  ASSIGN_OR_RETURN(pointer.image_digest,
                   GetChecked(json, "image_digest", IsImageDigest));
  ASSIGN_OR_RETURN(pointer.created_unix_seconds, GetNatural(json, "created"));
  const Json* placements = json.Find("placements");
  if (placements == nullptr || placements->AsObject() == nullptr)
    return Bad("placements");
  for (const auto& [label, row] : *placements->AsObject()) {
    if (!IsPrintable(label, kMaxLabelBytes)) return Bad("placements");
    RETURN_IF_ERROR(CheckMembers(row, {"current", "next"}));
    PointerState::Slot& slot = pointer.placements[label];
    ASSIGN_OR_RETURN(slot.current, GetOptional(row, "current", IsManifestId));
    ASSIGN_OR_RETURN(slot.next, GetOptional(row, "next", IsManifestId));
  }
  return pointer;
}

}  // namespace morsel
