// SPDX-License-Identifier: Apache-2.0
// What the origin's JSON objects say: root states, salts, records, pointers;
// their keys; and the strict way from and to JSON (docs/formats.md, "Origin").
//
// Decoding takes hostile input: kCorrupt names the member at fault.
//
// Thread safety: free functions and values.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "origin/origin.h"

namespace morsel {

// The stages of a root, one way (paper.md §3).
inline constexpr std::string_view kRootActive = "active";
inline constexpr std::string_view kRootRetired = "retired";
inline constexpr std::string_view kRootExpired = "expired";
inline constexpr std::string_view kRootDeleted = "deleted";

// roots/<root>/state.json
struct RootState {
  struct Step {
    std::string state;
    int64_t at_unix_seconds = 0;
  };
  std::string state;
  std::vector<Step> history;  // not empty; the last is `state`
  std::string placement;      // label: one zone, say; empty is the default
  std::string tenant;         // class of tenants that share chunks
};

// images/<name>/<tag>.json. Emptied: no placements.
struct PointerState {
  struct Slot {
    std::string current;  // manifest id, or empty
    std::string next;     // announced, or empty
  };
  std::string image_digest;
  std::map<std::string, Slot> placements;  // by placement label
  int64_t created_unix_seconds = 0;
};

// "r" and 12 hexadecimal digits, so that a root id is a safe part of a key.
bool IsRootId(std::string_view text);
bool IsManifestId(std::string_view text);
// Lower-case hexadecimal, 1 to 128 digits.
bool IsKeyId(std::string_view text);

std::string RootStateKey(const std::string& root);
std::string SaltFolderKey(const std::string& root);
std::string SaltKey(const std::string& root, const std::string& key_id);
std::string ManifestKey(const std::string& root, const std::string& id);
std::string RecordKey(const std::string& id);
std::string PointerKey(const ImageName& name);
// The name whose pointer that key is; kInvalid.
Result<ImageName> NameOfPointerKey(std::string_view key);

Json EncodeRootState(const RootState& state);
Result<RootState> DecodeRootState(const Json& json);
Json EncodeWrappedKey(const WrappedKey& wrapped);
Result<WrappedKey> DecodeWrappedKey(const Json& json);
// An empty root (a record that was emptied) is null.
Json EncodeRecord(const ManifestRecord& record);
Result<ManifestRecord> DecodeRecord(const Json& json);
Json EncodePointer(const PointerState& pointer);
Result<PointerState> DecodePointer(const Json& json);

}  // namespace morsel
