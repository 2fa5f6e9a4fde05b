// SPDX-License-Identifier: Apache-2.0
// Stands in for morsel-agent in the tests of this folder: speaks the protocol
// of block/agent_setup.h and does what the tag of its image's name says. Its
// device is a folder, named by FAKE_AGENT_DISK_DIR, that holds a file `disk`.
//
//   ready   binds the folder to DEVICE_DIR/fuse, and ends when it is unmounted
//   dies    complains and exits with 3, without a ready line
//   closes  closes the ready pipe and lives on
//   silent  never answers
//   error   reports "exhausted"
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/fd.h"
#include "block/agent_setup.h"
#include "crypto/secret.h"

namespace morsel {
namespace {

Result<AgentSetup> ReadSetup() {
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(kAgentSetupFd));
  Bytes bytes(size);
  RETURN_IF_ERROR(ReadFullAt(kAgentSetupFd, 0, bytes));
  ASSIGN_OR_RETURN(const Json json, Json::Parse(AsText(bytes)));
  return AgentSetup::FromJson(json);
}

void Say(const Json& line) {
  const Status ignored = WriteFull(kAgentReadyFd, AsBytes(line.Dump() + "\n"));
  static_cast<void>(ignored);
  ::close(kAgentReadyFd);
}

int Fail(const Error& error) {
  Json line;
  line["error"]["code"] = CodeName(error.code);
  line["error"]["message"] = error.message;
  Say(line);
  return 1;
}

// Until nothing is mounted at the folder any more. The kernel wakes pollers
// of mountinfo at every change.
void WaitForUnmount(const std::string& dir) {
  while (true) {
    const Result<Fd> mounts = OpenFile("/proc/self/mountinfo", O_RDONLY);
    const Result<Bytes> text = ReadWholeFile("/proc/self/mountinfo", 16 * kMiB);
    if (!mounts.ok() || !text.ok() ||
        AsText(*text).find(" " + dir + " ") == std::string_view::npos)
      return;
    pollfd polled{mounts->get(), POLLPRI, 0};
    ::poll(&polled, 1, 1000);
  }
}

int Serve(const AgentSetup& setup) {
  const std::string dir = setup.device_dir + "/fuse";
  const char* source = std::getenv("FAKE_AGENT_DISK_DIR");
  if (source == nullptr ||
      ::mount(source, dir.c_str(), nullptr, MS_BIND, nullptr) != 0)
    return Fail(ErrnoError(errno, "bind the fake disk"));
  Json line;
  line["path"] = dir + "/disk";
  line["pid"] = int64_t{::getpid()};
  Say(line);
  WaitForUnmount(dir);
  return 0;
}

int Main() {
  const Result<AgentSetup> setup = ReadSetup();
  if (!setup.ok()) return Fail(setup.error());
  const Result<uint64_t> key_size = FileSize(kAgentDataKeyFd);
  if (!key_size.ok() || *key_size != kKeySize)
    return Fail(MakeError(Code::kInvalid, "no data key"));
  const Result<uint64_t> overlay_key_size = FileSize(kAgentOverlayKeyFd);
  if (setup->overlay_dir.empty() == overlay_key_size.ok())
    return Fail(MakeError(Code::kInvalid, "an overlay's key too many or few"));
  const std::string mode = setup->image.substr(setup->image.rfind(':') + 1);
  if (mode == "ready") return Serve(*setup);
  if (mode == "error")
    return Fail(MakeError(Code::kExhausted, "the machine is full"));
  if (mode == "dies") {
    std::fputs("first line\nno FUSE today\n", stderr);
    return 3;
  }
  if (mode == "closes") ::close(kAgentReadyFd);
  ::poll(nullptr, 0, -1);
  return 0;
}

}  // namespace
}  // namespace morsel

int main() { return morsel::Main(); }
