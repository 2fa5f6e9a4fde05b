// SPDX-License-Identifier: Apache-2.0
#include "sandbox/sandbox_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/process.h"
#include "sandbox/loop.h"

namespace morsel {
namespace {

namespace fs = std::filesystem;

std::string MakeTestDir() {
  std::string dir = fs::temp_directory_path() / "morsel-sandbox-XXXXXX";
  CHECK(::mkdtemp(dir.data()) != nullptr);
  return dir;
}

void WriteText(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

Result<WrappedKey> NotingKeyService::Wrap(const SecretKey& data_key,
                                          std::string_view context) {
  return WrappedKey{
      .key_id = "00",
      .blob_hex = ToHex(data_key.bytes()) + ToHex(AsBytes(context))};
}

Result<SecretKey> NotingKeyService::Unwrap(const WrappedKey& wrapped,
                                           std::string_view context) {
  if (wrapped.blob_hex.substr(2 * kKeySize) != ToHex(AsBytes(context)))
    return MakeError(Code::kCorrupt, "another context");
  SecretKey key;
  RETURN_IF_ERROR(
      ParseHex(wrapped.blob_hex.substr(0, 2 * kKeySize), key.mutable_bytes()));
  return key;
}

SandboxTest::SandboxTest()
    : dir_(MakeTestDir()), config_(Config::Load("").value()) {
  CHECK(config_.Set("state_dir", dir_ + "/state").ok());
  CHECK(config_.Set("run_dir", dir_ + "/run").ok());
  fs::create_directories(dir_ + "/disk");
  WriteText(dir_ + "/disk/disk", std::string(64 * kKiB, 'x'));
  ::setenv("FAKE_AGENT_DISK_DIR", (dir_ + "/disk").c_str(), 1);
}

SandboxTest::~SandboxTest() {
  const auto devices = ListDevices(config_);
  if (devices.ok()) {
    for (const AttachedDevice& device : *devices) {
      const Status ignored = DetachDevice(config_, device.id);
      static_cast<void>(ignored);
    }
  }
  std::error_code error;
  fs::remove_all(dir_, error);
}

bool SandboxTest::IsRoot() { return ::geteuid() == 0; }

std::string SandboxTest::WhyNoContainers() {
  if (!IsRoot()) return "needs root";
  if (::access("/dev/loop-control", F_OK) != 0) return "needs loop devices";
  if (::access("/bin/busybox", X_OK) != 0) return "needs busybox-static";
  if (!RunCommand({"runc", "--version"}).ok()) return "needs runc";
  return "";
}

ResolvedImage SandboxTest::MakeImage() {
  const SecretKey key;
  ManifestContents contents;
  contents.virtual_size = 16 * kGiB;
  contents.root_of_birth = "r1";
  contents.salt_id = "s";
  contents.config = "{}";
  ResolvedImage image{
      .record = {},
      .manifest = Manifest::Parse(EncodeManifest(contents, key)).value(),
      .image_digest = ""};
  image.record.id = image.manifest.id();
  image.record.root = "r1";
  return image;
}

Result<AttachedDevice> SandboxTest::Attach(const std::string& tag,
                                           AttachOptions options) {
  options.agent_program = FAKE_AGENT;
  return AttachDevice(config_, {.repository = "fake", .tag = tag}, image_,
                      SecretKey(), keys_, options);
}

void SandboxTest::MakeDisk(
    const std::vector<std::pair<std::string, std::string>>& files) {
  const fs::path root = dir_ + "/root";
  fs::create_directories(root / "bin");
  fs::create_directories(root / "etc");
  fs::copy_file("/bin/busybox", root / "bin/busybox",
                fs::copy_options::overwrite_existing);
  for (const char* applet :
       {"sh", "cat", "id", "env", "hostname", "sleep", "kill", "stat", "pwd",
        "touch", "echo", "ls", "stty"})
    fs::create_symlink("busybox", root / "bin" / applet);
  for (const auto& [path, text] : files) {
    if (text.empty()) {
      fs::create_directories(root / path);
      continue;
    }
    fs::create_directories((root / path).parent_path());
    WriteText(root / path, text);
    fs::permissions(root / path, fs::perms(0755));
  }
  const std::string disk = dir_ + "/disk/disk";
  fs::remove(disk);
  const Result<std::string> made =
      RunChecked({"mkfs.ext4", "-q", "-b", "4096", "-O", "^has_journal", "-d",
                  root.string(), disk, "256M"});
  ASSERT_TRUE(made.ok()) << made.error().message;
}

std::vector<std::string> SandboxTest::Leftovers() const {
  std::vector<std::string> found;
  std::error_code error;
  for (const char* name : {"devices", "containers", "runc"})
    for (const auto& entry :
         fs::directory_iterator(dir_ + "/run/" + name, error))
      found.push_back(entry.path().string());
  const auto loops = ListLoopDevices();
  if (loops.ok())
    for (const LoopInfo& loop : *loops)
      if (loop.backing_file.starts_with(dir_)) found.push_back(loop.path);
  return found;
}

RunnerProcess::RunnerProcess(const Config& config, const AttachedDevice& device,
                             const ImageConfig& image,
                             const RunOptions& options) {
  std::array<int, 2> ends{};
  CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  child_.pid = ::fork();
  CHECK(child_.pid >= 0);
  if (child_.pid == 0) {
    ::dup2(write_end.get(), 1);
    auto signals = ForwardedSignals::Block();
    const RunReport report =
        RunContainer({config, device, image, options, *signals});
    ::_exit(report.exit_code);
  }
  write_end.Close();
  Bytes first(3);
  const Result<size_t> length = ReadUpTo(read_end.get(), first);
  CHECK(length.ok() && *length == first.size());
}

}  // namespace morsel
