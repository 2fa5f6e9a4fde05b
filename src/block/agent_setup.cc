// SPDX-License-Identifier: Apache-2.0
#include "block/agent_setup.h"

#include <limits>

namespace morsel {
namespace {

Result<uint32_t> GetUint32(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(const int64_t value, json.GetInt(key));
  if (value < 0 || value > std::numeric_limits<uint32_t>::max())
    return MakeError(Code::kInvalid,
                     "member " + std::string(key) + ": out of range");
  return static_cast<uint32_t>(value);
}

Result<uint64_t> GetUint64(const Json& json, std::string_view key) {
  ASSIGN_OR_RETURN(const int64_t value, json.GetInt(key));
  if (value < 0)
    return MakeError(Code::kInvalid,
                     "member " + std::string(key) + ": negative");
  return static_cast<uint64_t>(value);
}

Result<double> GetSeconds(const Json& json, std::string_view key) {
  const Json* const member = json.Find(key);
  if (member != nullptr && member->AsDouble() != nullptr &&
      *member->AsDouble() >= 0)
    return *member->AsDouble();
  // A whole number of seconds is printed as an integer.
  ASSIGN_OR_RETURN(const uint64_t value, GetUint64(json, key));
  return static_cast<double>(value);
}

}  // namespace

Json AgentSetup::ToJson() const {
  Json json;
  json["device_dir"] = device_dir;
  json["image"] = image;
  json["manifest_id"] = manifest_id;
  json["root"] = root;
  json["read_only"] = read_only;
  json["overlay_dir"] = overlay_dir;
  json["scratch_dir"] = scratch_dir;
  json["overlay_max_bytes"] = overlay_max_bytes;
  json["origin"] = origin;
  json["worker"] = worker;
  json["cache_socket"] = cache_socket;
  json["cache_memory_bytes"] = cache_memory_bytes;
  json["cache_origin_requests"] = cache_origin_requests;
  json["startup_chunks"] = startup_chunks;
  json["cache_uid"] = cache_uid;
  json["child_uid"] = child_uid;
  json["thread_count"] = thread_count;
  json["io_timeout_seconds"] = io_timeout_seconds;
  return json;
}

Result<AgentSetup> AgentSetup::FromJson(const Json& json) {
  AgentSetup setup;
  ASSIGN_OR_RETURN(setup.device_dir, json.GetString("device_dir"));
  ASSIGN_OR_RETURN(setup.image, json.GetString("image"));
  ASSIGN_OR_RETURN(setup.manifest_id, json.GetString("manifest_id"));
  ASSIGN_OR_RETURN(setup.root, json.GetString("root"));
  setup.read_only = json.BoolOr("read_only", false);
  setup.overlay_dir = json.StringOr("overlay_dir", "");
  ASSIGN_OR_RETURN(setup.scratch_dir, json.GetString("scratch_dir"));
  ASSIGN_OR_RETURN(setup.overlay_max_bytes,
                   GetUint64(json, "overlay_max_bytes"));
  ASSIGN_OR_RETURN(setup.origin, json.GetString("origin"));
  setup.worker = json.StringOr("worker", "");
  setup.cache_socket = json.StringOr("cache_socket", "");
  ASSIGN_OR_RETURN(setup.cache_memory_bytes,
                   GetUint64(json, "cache_memory_bytes"));
  ASSIGN_OR_RETURN(setup.cache_origin_requests,
                   GetUint32(json, "cache_origin_requests"));
  ASSIGN_OR_RETURN(setup.startup_chunks, json.GetNumbers("startup_chunks"));
  ASSIGN_OR_RETURN(setup.cache_uid, GetUint32(json, "cache_uid"));
  ASSIGN_OR_RETURN(setup.child_uid, GetUint32(json, "child_uid"));
  ASSIGN_OR_RETURN(setup.thread_count, GetUint32(json, "thread_count"));
  ASSIGN_OR_RETURN(setup.io_timeout_seconds,
                   GetSeconds(json, "io_timeout_seconds"));
  if (setup.device_dir.empty() || setup.device_dir[0] != '/')
    return MakeError(Code::kInvalid, "member device_dir: no absolute path");
  if (setup.thread_count == 0 || setup.thread_count > 1024)
    return MakeError(Code::kInvalid, "member thread_count: not 1 to 1024");
  return setup;
}

}  // namespace morsel
