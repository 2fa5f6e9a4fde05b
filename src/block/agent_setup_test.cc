// SPDX-License-Identifier: Apache-2.0
#include "block/agent_setup.h"

#include <gtest/gtest.h>

namespace morsel {
namespace {

AgentSetup Example() {
  return {.device_dir = "/run/morsel/devices/1",
          .image = "app:1",
          .manifest_id = "ab",
          .root = "r1",
          .read_only = true,
          .overlay_dir = "/var/lib/morsel/overlays/o",
          .scratch_dir = "/var/lib/morsel/scratch",
          .overlay_max_bytes = 16ULL << 30,
          .origin = "/var/lib/morsel/origin",
          .cache_memory_bytes = 1ULL << 30,
          .cache_origin_requests = 16,
          .startup_chunks = {7, 0, 4294967295},
          .cache_uid = 64642,
          .child_uid = 64641,
          .thread_count = 8,
          .io_timeout_seconds = 2.5};
}

TEST(AgentSetup, SurvivesJson) {
  const Json json = Example().ToJson();
  const Result<Json> parsed = Json::Parse(json.Dump());
  ASSERT_TRUE(parsed.ok());
  const Result<AgentSetup> setup = AgentSetup::FromJson(*parsed);
  ASSERT_TRUE(setup.ok()) << setup.error().message;
  EXPECT_EQ(setup->ToJson(), json);
  EXPECT_EQ(setup->overlay_max_bytes, 16ULL << 30);
  EXPECT_TRUE(setup->read_only);
}

TEST(AgentSetup, TakesWholeSeconds) {
  Json json = Example().ToJson();
  json["io_timeout_seconds"] = 60;
  ASSERT_TRUE(AgentSetup::FromJson(json).ok());
  EXPECT_EQ(AgentSetup::FromJson(json)->io_timeout_seconds, 60.0);
}

TEST(AgentSetup, RefusesWhatIsMissingOrOutOfRange) {
  const Json whole = Example().ToJson();
  for (const auto& [key, value] : *whole.AsObject()) {
    if (key == "read_only" || key == "overlay_dir" || key == "cache_socket" ||
        key == "worker" || key == "startup_chunks")
      continue;
    Json json = whole;
    json[key] = Json();
    const Result<AgentSetup> setup = AgentSetup::FromJson(json);
    ASSERT_FALSE(setup.ok()) << key;
    EXPECT_EQ(setup.error().code, Code::kInvalid);
    EXPECT_NE(setup.error().message.find(key), std::string::npos);
  }
  Json json = whole;
  json["thread_count"] = int64_t{1} << 32;
  EXPECT_FALSE(AgentSetup::FromJson(json).ok());
  json["thread_count"] = -1;
  EXPECT_FALSE(AgentSetup::FromJson(json).ok());
}

}  // namespace
}  // namespace morsel
