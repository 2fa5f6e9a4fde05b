// SPDX-License-Identifier: Apache-2.0
#include "sandbox/image_config.h"

#include <gtest/gtest.h>

namespace morsel {
namespace {

using Strings = std::vector<std::string>;

TEST(ImageConfig, ReadsWhatAContainerNeeds) {
  const auto image = ImageConfig::Parse(R"({"architecture": "amd64", "config": {
      "Env": ["A=1"], "User": "www", "WorkingDir": "/srv",
      "Entrypoint": ["/init"], "Cmd": ["serve"],
      "ExposedPorts": {"80/tcp": {}}}})");
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_EQ(image->env, Strings{"A=1"});
  EXPECT_EQ(image->user, "www");
  EXPECT_EQ(image->working_dir, "/srv");
  EXPECT_EQ(image->entrypoint, Strings{"/init"});
  EXPECT_EQ(image->cmd, Strings{"serve"});
}

TEST(ImageConfig, IsEmptyWhereTheImageSaysNothing) {
  for (const char* text :
       {"{}", R"({"config": null})",
        R"({"config": {"Env": null, "Cmd": null, "Entrypoint": null}})"}) {
    const auto image = ImageConfig::Parse(text);
    ASSERT_TRUE(image.ok()) << text;
    EXPECT_TRUE(image->cmd.empty() && image->env.empty());
  }
}

TEST(ImageConfig, RefusesWhatIsNoConfig) {
  for (const char* text :
       {"", "[", R"({"config": []})", R"({"config": {"Cmd": "sh"}})",
        R"({"config": {"Env": [1]}})", R"({"config": {"Cmd": ["a\u0000b"]}})",
        R"({"config": {"User": "a\u0000b"}})"}) {
    const auto image = ImageConfig::Parse(text);
    ASSERT_FALSE(image.ok()) << text;
    EXPECT_EQ(image.error().code, Code::kInvalid);
  }
}

TEST(ImageConfig, MakesARelativeWorkingDirectoryAbsolute) {
  const auto image = ImageConfig::Parse(R"({"config": {"WorkingDir": "srv"}})");
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->working_dir, "/srv");
}

}  // namespace
}  // namespace morsel
