// SPDX-License-Identifier: Apache-2.0
#include "sandbox/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/fd.h"

namespace morsel {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Strings = std::vector<std::string>;

class BundleTest : public ::testing::Test {
 protected:
  BundleTest() {
    std::string dir = fs::temp_directory_path() / "morsel-bundle-XXXXXX";
    CHECK(::mkdtemp(dir.data()) != nullptr);
    dir_ = dir;
    fs::create_directories(dir_ / "root/etc");
    fs::create_directories(dir_ / "bundle");
    std::ofstream(dir_ / "root/etc/passwd") << "www:x:33:34::/srv:/bin/sh\n";
    std::ofstream(dir_ / "root/etc/group") << "log:x:40:www\n";
    image_ = {.env = {"A=1", "PATH=/x"},
              .user = "www",
              .working_dir = "/app",
              .entrypoint = {"/init"},
              .cmd = {"serve", "all"}};
  }
  ~BundleTest() override { fs::remove_all(dir_); }

  Rootfs Root() { return Rootfs::Open((dir_ / "root").string()).value(); }
  Result<ProcessPlan> Plan() {
    return PlanProcess(Root(), image_, options_, "0123456789abcdef");
  }
  Status Write(bool read_only_device = false) {
    ASSIGN_OR_RETURN(const ProcessPlan plan, Plan());
    return WriteBundle({.bundle_dir = (dir_ / "bundle").string(),
                        .rootfs_dir = (dir_ / "root").string(),
                        .container_id = "0123456789abcdef",
                        .read_only_device = read_only_device},
                       Root(), plan, options_);
  }
  // The config.json that Write makes.
  Json Spec(bool read_only_device = false) {
    const Status written = Write(read_only_device);
    EXPECT_TRUE(written.ok());
    const auto bytes =
        ReadWholeFile((dir_ / "bundle/config.json").string(), kMiB);
    return Json::Parse(AsText(*bytes)).value();
  }
  std::string Text(const std::string& path) {
    return std::string(
        AsText(ReadWholeFile((dir_ / "bundle" / path).string(), kMiB).value()));
  }

  fs::path dir_;
  ImageConfig image_;
  RunOptions options_;
};

// The member at a path of keys.
const Json& At(const Json& json, std::initializer_list<const char*> keys) {
  const Json* found = &json;
  for (const char* key : keys) {
    found = found->Find(key);
    CHECK(found != nullptr);
  }
  return *found;
}

const Json* FindMount(const Json& spec, const std::string& destination) {
  for (const Json& mount : *At(spec, {"mounts"}).AsArray())
    if (mount.StringOr("destination", "") == destination) return &mount;
  return nullptr;
}

TEST_F(BundleTest, MergesEntrypointAndCommandAsDockerDoes) {
  EXPECT_THAT(Plan()->argv, ElementsAre("/init", "serve", "all"));
  options_.args = {"one"};
  EXPECT_THAT(Plan()->argv, ElementsAre("/init", "one"));
  options_.entrypoint = "/bin/sh";
  EXPECT_THAT(Plan()->argv, ElementsAre("/bin/sh", "one"));
  options_.args.clear();
  EXPECT_THAT(Plan()->argv, ElementsAre("/bin/sh"));
  options_.entrypoint = "";
  EXPECT_EQ(Plan().error().code, Code::kInvalid);
  options_.args = {"one"};
  EXPECT_THAT(Plan()->argv, ElementsAre("one"));
}

TEST_F(BundleTest, MergesTheEnvironment) {
  ::setenv("MORSEL_TEST_VARIABLE", "mine", 1);
  options_.env = {"A=2", "B=", "MORSEL_TEST_VARIABLE", "NO_SUCH_VARIABLE"};
  EXPECT_THAT(Plan()->env,
              ElementsAre("PATH=/x", "HOSTNAME=0123456789ab", "HOME=/srv",
                          "A=2", "B=", "MORSEL_TEST_VARIABLE=mine"));
  EXPECT_EQ(Plan()->SearchPath(), "/x");
  options_.terminal = true;
  EXPECT_THAT(Plan()->env, Contains("TERM=xterm"));
}

TEST_F(BundleTest, TakesUserAndFolderOfTheOptionsFirst) {
  EXPECT_EQ(Plan()->user.uid, 33U);
  EXPECT_EQ(Plan()->working_dir, "/app");
  options_.user = "0:7";
  options_.working_dir = "/tmp";
  EXPECT_EQ(Plan()->user.gid, 7U);
  EXPECT_EQ(Plan()->working_dir, "/tmp");
  options_.working_dir = "tmp";
  EXPECT_EQ(Plan().error().code, Code::kInvalid);
  options_.working_dir = "";
  options_.user = "ghost";
  EXPECT_EQ(Plan().error().code, Code::kNotFound);
}

TEST_F(BundleTest, WritesTheProcess) {
  const Json spec = Spec();
  const Json& process = At(spec, {"process"});
  EXPECT_EQ(At(process, {"args"}), Json(Strings{"/init", "serve", "all"}));
  EXPECT_EQ(At(process, {"user", "uid"}), Json(33));
  EXPECT_EQ(At(process, {"user", "additionalGids"}), Json(Json::Array{40}));
  EXPECT_EQ(At(process, {"capabilities", "bounding"}).AsArray()->size(), 14U);
  EXPECT_EQ(At(process, {"capabilities"}).Find("inheritable"), nullptr);
  EXPECT_EQ(At(process, {"capabilities"}).Find("ambient"), nullptr);
  EXPECT_EQ(spec.StringOr("hostname", ""), "0123456789ab");
  EXPECT_TRUE(fs::is_directory(dir_ / "root/app"));
}

TEST_F(BundleTest, HidesWhatDockerHides) {
  const Json spec = Spec();
  const auto masked = At(spec, {"linux"}).GetStrings("maskedPaths");
  EXPECT_THAT(*masked, Contains("/proc/kcore"));
  EXPECT_THAT(*masked, Contains("/sys/firmware"));
  const auto fixed = At(spec, {"linux"}).GetStrings("readonlyPaths");
  EXPECT_THAT(*fixed, Contains("/proc/sys"));
  EXPECT_NE(At(spec, {"linux"}).Find("seccomp"), nullptr);
}

TEST_F(BundleTest, SetsLimitsWhereTheyAreAskedFor) {
  EXPECT_EQ(At(Spec(), {"linux", "resources"}).Find("memory"), nullptr);
  options_.memory_bytes = 64 * kMiB;
  options_.cpus = 1.5;
  options_.pids_limit = 10;
  const Json spec = Spec();
  const Json& resources = At(spec, {"linux", "resources"});
  EXPECT_EQ(At(resources, {"memory", "limit"}), Json(64 * kMiB));
  EXPECT_EQ(At(resources, {"cpu", "quota"}), Json(150000));
  EXPECT_EQ(At(resources, {"pids", "limit"}), Json(10));
}

TEST_F(BundleTest, HasANetworkOfItsOwnUnlessToldOtherwise) {
  EXPECT_THAT(Spec().Dump(), HasSubstr(R"({"type":"network"})"));
  EXPECT_EQ(Text("etc/hostname"), "0123456789ab\n");
  EXPECT_THAT(Text("etc/hosts"), HasSubstr("localhost 0123456789ab\n"));
  options_.network = Network::kHost;
  EXPECT_THAT(Spec().Dump(), Not(HasSubstr(R"({"type":"network"})")));
  const auto hosts = ReadWholeFile("/etc/hosts", kMiB);
  EXPECT_EQ(Text("etc/hosts"), hosts.ok() ? std::string(AsText(*hosts)) : "");
  options_.hostname = "box";
  EXPECT_EQ(Spec().StringOr("hostname", ""), "box");
  EXPECT_EQ(Text("etc/hostname"), "box\n");
}

TEST_F(BundleTest, BindsWhatIsAskedFor) {
  options_.binds = {{dir_.string(), "/data", true}};
  const Json spec = Spec();
  const Json* mount = FindMount(spec, "/data");
  ASSERT_NE(mount, nullptr);
  EXPECT_THAT(*mount->GetStrings("options"), Contains("ro"));
  options_.binds = {{(dir_ / "hosts").string(), "/etc/hosts", false}};
  EXPECT_EQ(Write().error().code, Code::kNotFound);
  std::ofstream(dir_ / "hosts") << "mine";
  EXPECT_EQ(FindMount(Spec(), "/etc/hosts")->StringOr("source", ""),
            (dir_ / "hosts").string());
}

TEST_F(BundleTest, MakesNothingOnAReadOnlyDevice) {
  const Json spec = Spec(true);
  EXPECT_FALSE(fs::exists(dir_ / "root/app"));
  EXPECT_TRUE(At(spec, {"root"}).BoolOr("readonly", false));
  EXPECT_EQ(FindMount(spec, "/etc/hosts"), nullptr);
  std::ofstream(dir_ / "root/etc/hosts") << "x";
  const Json again = Spec(true);
  EXPECT_NE(FindMount(again, "/etc/hosts"), nullptr);
}

TEST_F(BundleTest, RefusesAnUnknownCapability) {
  options_.add_capabilities = {"FLY"};
  EXPECT_EQ(Write().error().code, Code::kInvalid);
}

}  // namespace
}  // namespace morsel
