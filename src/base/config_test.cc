// SPDX-License-Identifier: Apache-2.0
#include "base/config.h"

#include <gmock/gmock.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "base/bytes.h"
#include "base/fd.h"

namespace morsel {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string pattern =
        std::filesystem::temp_directory_path() / "morsel-config-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/config.toml";
  }
  ~ConfigTest() override {
    ::unsetenv("MORSEL_IO_TIMEOUT");
    ::unsetenv("MORSEL_OVERLAY_MAX_BYTES");
    ::unsetenv("MORSEL_CONFIG");
    std::filesystem::remove_all(folder_);
  }
  Result<Config> LoadText(std::string_view text) {
    EXPECT_TRUE(WriteFileAtomically(path_, AsBytes(text), 0600).ok());
    return Config::Load(path_);
  }

  std::string folder_;
  std::string path_;
};

TEST_F(ConfigTest, EveryDefaultFitsItsType) {
  Config config = LoadText("").value();
  for (const ConfigKey& key : Config::Keys()) {
    EXPECT_TRUE(config.Set(key.name, std::string(key.default_value)).ok())
        << key.name;
    EXPECT_FALSE(key.help.empty()) << key.name;
  }
}

TEST_F(ConfigTest, CommandLineOverEnvironmentOverFileOverDefault) {
  EXPECT_EQ(LoadText("")->Seconds("io_timeout"), 60);
  Config config = LoadText("io_timeout = 1.5\n").value();
  EXPECT_EQ(config.Seconds("io_timeout"), 1.5);
  ::setenv("MORSEL_IO_TIMEOUT", "7", 1);
  config = LoadText("io_timeout = 1.5\n").value();
  EXPECT_EQ(config.Seconds("io_timeout"), 7);
  ASSERT_TRUE(config.Set("io_timeout", "9").ok());
  EXPECT_EQ(config.Seconds("io_timeout"), 9);
}

TEST_F(ConfigTest, SecondsAreADecimalNumberAlone) {
  EXPECT_EQ(ParseSeconds("0").value(), 0);
  EXPECT_EQ(ParseSeconds("0.25").value(), 0.25);
  EXPECT_EQ(ParseSeconds("1e+06").value(), 1e6);  // as ScalarText prints it
  for (const char* text :
       {"", " 1", "1 ", "+1", "-1", "0x1", "1s", "inf", "nan", "1e999", "1,5"})
    EXPECT_EQ(ParseSeconds(text).error().code, Code::kInvalid) << text;
}

TEST_F(ConfigTest, TablesAreDottedKeys) {
  ::setenv("MORSEL_OVERLAY_MAX_BYTES", "2GiB", 1);
  const Config config =
      LoadText("[local_cache]\nmemory_bytes = \"64 MiB\"\n").value();
  EXPECT_EQ(config.SizeBytes("local_cache.memory_bytes"), 64 * kMiB);
  EXPECT_EQ(config.SizeBytes("overlay.max_bytes"), 2 * kGiB);
  EXPECT_EQ(config.Integer("agent.threads"), 8);
}

TEST_F(ConfigTest, AFaultIsNamedByFileLineAndKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"\nagent = 3\n", ":2: unknown setting agent"},
      {"[agent]\nthreads = \"many\"\n", ":2: setting agent.threads"},
      {"[agent]\nthreads = -1\n", ":2: setting agent.threads"},
      {"[agent]\nthreads = [1]\n", ":2: agent.threads must be"},
      {"io_timeout = \"inf\"\n", ":1: setting io_timeout"},
      {"a = = b\n", ":1: "},
  };
  for (const auto& [text, message] : cases) {
    const Result<Config> config = LoadText(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().code, Code::kInvalid);
    EXPECT_THAT(config.error().message, HasSubstr(path_ + message));
  }
}

TEST_F(ConfigTest, AWrongEnvironmentVariableIsNamed) {
  ::setenv("MORSEL_IO_TIMEOUT", "soon", 1);
  EXPECT_THAT(LoadText("").error().message, HasSubstr("MORSEL_IO_TIMEOUT"));
}

TEST_F(ConfigTest, AFileThatWasNamedMustExist) {
  EXPECT_EQ(Config::Load(folder_ + "/none").error().code, Code::kNotFound);
  ::setenv("MORSEL_CONFIG", (folder_ + "/none").c_str(), 1);
  EXPECT_EQ(Config::Load("").error().code, Code::kNotFound);
}

TEST_F(ConfigTest, PlacesFollowFromStateDir) {
  const Config config = LoadText("state_dir = \"/srv/m\"\n").value();
  EXPECT_EQ(config.StateDir(), "/srv/m");
  EXPECT_EQ(config.Origin(), "/srv/m/origin");
  if (::geteuid() == 0) {
    EXPECT_EQ(LoadText("")->StateDir(), "/var/lib/morsel");
  }
}

TEST(ParseSizeTest, UnderstandsBinaryUnits) {
  EXPECT_EQ(ParseSize("0").value(), 0U);
  EXPECT_EQ(ParseSize("1536").value(), 1536U);
  EXPECT_EQ(ParseSize("12B").value(), 12U);
  EXPECT_EQ(ParseSize("64KiB").value(), 64 * kKiB);
  EXPECT_EQ(ParseSize("2 GiB").value(), 2 * kGiB);
  EXPECT_EQ(ParseSize("1g").value(), kGiB);
  EXPECT_EQ(ParseSize("3T").value(), 3 * 1024 * kGiB);
}

TEST(ParseSizeTest, RefusesAnythingElse) {
  for (const char* text : {"", "-1", "MiB", "1.5G", "10 apples", "1KB", "0x10",
                           "16777216T", "18446744073709551616"})
    EXPECT_EQ(ParseSize(text).error().code, Code::kInvalid) << text;
}

}  // namespace
}  // namespace morsel
