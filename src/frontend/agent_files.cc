// SPDX-License-Identifier: Apache-2.0
#include "frontend/agent_files.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/random.h"
#include "block/device_stats.h"
#include "crypto/cipher.h"
#include "crypto/secret.h"
#include "frontend/child.h"
#include "frontend/fuse_slots.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxSetupBytes = kMiB;

Result<AgentSetup> ReadSetup() {
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(kAgentSetupFd));
  if (size > kMaxSetupBytes)
    return MakeError(Code::kInvalid, "the setup is too large");
  Bytes text(size);
  RETURN_IF_ERROR(ReadFullAt(kAgentSetupFd, 0, text));
  ASSIGN_OR_RETURN_AS(const Json json, Json::Parse(AsText(text)),
                      "the agent's setup");
  return AgentSetup::FromJson(json);
}

// A file without a name: it is gone with its last user, however that ends.
Result<Fd> MakeNamelessFile(const std::string& dir) {
  return OpenFile(dir, O_TMPFILE | O_RDWR, 0600);
}

Result<OverlayFiles> OpenOverlay(const AgentSetup& setup) {
  OverlayFiles files;
  if (!setup.overlay_dir.empty()) {
    ASSIGN_OR_RETURN(files.data, OpenFile(setup.overlay_dir + "/data",
                                          O_CREAT | O_RDWR, 0600));
    ASSIGN_OR_RETURN(files.witness,
                     OpenFile(setup.overlay_dir + "/data", O_RDONLY));
    ASSIGN_OR_RETURN(files.map, OpenFile(setup.overlay_dir + "/map",
                                         O_CREAT | O_RDWR, 0600));
    ASSIGN_OR_RETURN(files.key, Duplicate(kAgentOverlayKeyFd));
    return files;
  }
  ASSIGN_OR_RETURN(files.data, MakeNamelessFile(setup.scratch_dir));
  ASSIGN_OR_RETURN(files.map, MakeNamelessFile(setup.scratch_dir));
  SecretBuffer key(kXtsKeySize);
  SystemRandom().Fill(key.mutable_bytes());
  ASSIGN_OR_RETURN(files.key,
                   MakeMemoryFile("morsel-overlay-key", key.bytes()));
  return files;
}

Result<Fd> MakeStatsFile(const AgentSetup& setup) {
  ASSIGN_OR_RETURN(Fd file, OpenFile(setup.device_dir + "/stats",
                                     O_CREAT | O_EXCL | O_RDWR, 0600));
  RETURN_IF_ERROR(InitDeviceStats(file.get()));
  return file;
}

Result<Fd> MakeSlots(size_t thread_count) {
  ASSIGN_OR_RETURN(Fd file, MakeMemoryFile("morsel-slots", {}));
  const auto length = static_cast<off_t>(FuseSlots::FileSize(thread_count));
  if (::ftruncate(file.get(), length) != 0)
    return ErrnoError(errno, "size the memory of requests");
  return file;
}

}  // namespace

Result<AgentFiles> AgentFiles::Make() {
  AgentFiles files;
  ASSIGN_OR_RETURN(files.setup, ReadSetup());
  if (!files.setup.read_only) {
    ASSIGN_OR_RETURN_AS(files.overlay, OpenOverlay(files.setup), "the overlay");
  }
  ASSIGN_OR_RETURN(files.stats, MakeStatsFile(files.setup));
  ASSIGN_OR_RETURN(files.slots, MakeSlots(files.setup.thread_count));
  return files;
}

Result<AgentFiles> AgentFiles::Inherit(const GuardState& state) {
  AgentFiles files;
  ASSIGN_OR_RETURN(files.setup, ReadSetup());
  if (!files.setup.read_only)
    files.overlay = OverlayFiles{.data = Fd(state.overlay_data),
                                 .map = Fd(state.overlay_map),
                                 .key = Fd(state.overlay_key),
                                 .witness = Fd(state.overlay_witness)};
  files.stats = Fd(state.stats);
  files.slots = Fd(state.slots);
  return files;
}

void AgentFiles::AddTo(GuardState& state) const {
  state.slots = slots.get();
  state.stats = stats.get();
  if (!overlay) return;
  state.overlay_data = overlay->data.get();
  state.overlay_map = overlay->map.get();
  state.overlay_key = overlay->key.get();
  state.overlay_witness = overlay->witness.get();
}

Result<FuseSlots> AgentFiles::MapMarks() const {
  return FuseSlots::Map(slots.get(), setup.thread_count,
                        FuseSlots::Part::kHeader);
}

Result<StartedChild> SpawnChild(const AgentFiles& files, int fuse_fd) {
  ASSIGN_OR_RETURN(auto sockets, MakeSocketPair());
  SpawnOptions options{.argv = {"/proc/self/exe", "--child"},
                       .env = {},
                       .fds = {{kAgentSetupFd, kChildSetupFd},
                               {kAgentDataKeyFd, kChildDataKeyFd},
                               {kAgentManifestFd, kChildManifestFd},
                               {fuse_fd, kChildFuseFd},
                               {files.slots.get(), kChildSlotsFd},
                               {files.stats.get(), kChildStatsFd},
                               {sockets.second.get(), kChildGuardFd},
                               {kAgentLifeFd, kChildLifeFd}}};
  if (files.overlay) {
    options.fds.emplace_back(files.overlay->data.get(), kChildOverlayDataFd);
    options.fds.emplace_back(files.overlay->map.get(), kChildOverlayMapFd);
    options.fds.emplace_back(files.overlay->key.get(), kChildOverlayKeyFd);
  }
  if (!files.setup.overlay_dir.empty())
    options.fds.emplace_back(kAgentOverlayLockFd, kChildOverlayLockFd);
  if (files.overlay && files.overlay->witness)
    options.fds.emplace_back(files.overlay->witness.get(),
                             kChildOverlayWitnessFd);
  ASSIGN_OR_RETURN_AS(Child process, Spawn(options), "start the agent's child");
  return StartedChild{std::move(process), std::move(sockets.first)};
}

void KillAndWait(const Child& process) {
  if (process.pid <= 0) return;
  ::kill(process.pid, SIGKILL);
  pollfd polled{process.pidfd.get(), POLLIN, 0};
  while (process.pidfd && ::poll(&polled, 1, -1) < 1) continue;
  // Fails for one that is not a child of ours.
  const Result<int> ignored = WaitChild(process);
  static_cast<void>(ignored);
}

}  // namespace morsel
