// SPDX-License-Identifier: Apache-2.0
// For the tests of this folder: a configuration in a folder of its own, a key
// service in memory, images that need no origin, and a disk for fake_agent.cc.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/process.h"
#include "keys/key_service.h"
#include "origin/origin.h"
#include "sandbox/device.h"
#include "sandbox/run.h"

namespace morsel {

// "Wraps" by noting key and context.
class NotingKeyService final : public KeyService {
 public:
  std::string KeyId() const override { return "00"; }
  Result<WrappedKey> Wrap(const SecretKey& data_key,
                          std::string_view context) override;
  Result<SecretKey> Unwrap(const WrappedKey& wrapped,
                           std::string_view context) override;
};

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest();
  ~SandboxTest() override;

  static bool IsRoot();
  // Why containers cannot run here; "" if they can.
  static std::string WhyNoContainers();

  // An image whose manifest has no chunks.
  static ResolvedImage MakeImage();
  // What the fake agent is told to do by the tag.
  Result<AttachedDevice> Attach(const std::string& tag,
                                AttachOptions options = {});
  // A fresh ext4 as the fake agent's disk: busybox and what `files` say, each
  // {path, text}; "" for a folder.
  void MakeDisk(const std::vector<std::pair<std::string, std::string>>& files);

  // Device folders, containers and loop devices that there are now.
  std::vector<std::string> Leftovers() const;

  const std::string dir_;  // of this test
  Config config_;
  NotingKeyService keys_;
  const ResolvedImage image_ = MakeImage();
};

// RunContainer in a process of its own, from the first three bytes that its
// container prints.
class RunnerProcess {
 public:
  explicit RunnerProcess(const Config& config, const AttachedDevice& device,
                         const ImageConfig& image, const RunOptions& options);

  pid_t pid() const { return child_.pid; }
  // Its exit code, or 128 + the signal that ended it.
  int Wait() { return WaitChild(child_).value(); }

 private:
  Child child_;
};

}  // namespace morsel
