// SPDX-License-Identifier: Apache-2.0
#include "frontend/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/process.h"
#include "base/random.h"
#include "block/agent_setup.h"
#include "block/device_stats.h"
#include "crypto/cipher.h"
#include "frontend/child.h"
#include "frontend/fuse_file.h"
#include "frontend/fuse_mount.h"
#include "frontend/local_cache_process.h"
#include "frontend/report.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

constexpr uint64_t kMaxSetupBytes = kMiB;
// How long the child may take until its device is usable.
constexpr std::chrono::seconds kStartTimeout(25);

// The overlay's files and key; none of a device that is read only.
struct OverlayFiles {
  Fd data;
  Fd map;
  Fd key;
};

Result<AgentSetup> ReadSetup() {
  Bytes text(kMaxSetupBytes);
  ASSIGN_OR_RETURN(const uint64_t size, FileSize(kAgentSetupFd));
  if (size > kMaxSetupBytes)
    return MakeError(Code::kInvalid, "the setup is too large");
  text.resize(size);
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
  const auto length = static_cast<off_t>(thread_count * kFuseSlotSize);
  if (::ftruncate(file.get(), length) != 0)
    return ErrnoError(errno, "size the slots");
  return file;
}

// SIGTERM and its like become readable instead of ending the guard.
Result<Fd> BlockSignals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGQUIT})
    ::sigaddset(&signals, number);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoError(errno, "signalfd");
  return fd;
}

class Guard {
 public:
  // Everything up to a usable device.
  Status Start();
  // Supervises until the device ends: the exit code.
  int Supervise();
  const AgentSetup& setup() const { return setup_; }

 private:
  Status StartChild();
  Status WaitForChild();
  // True while the device goes on.
  bool AttendSignal();
  void AttendCache();
  int AttendChildsEnd();

  AgentSetup setup_;
  Fd signals_;
  std::optional<FuseMount> mount_;
  std::optional<OverlayFiles> overlay_;
  Fd stats_;
  Fd slots_;
  std::optional<LocalCacheProcess> cache_;
  bool cache_given_up_ = false;
  Child child_;
  Fd child_socket_;
};

Status Guard::Start() {
  ASSIGN_OR_RETURN(signals_, BlockSignals());
  ASSIGN_OR_RETURN(setup_, ReadSetup());
  if (!setup_.read_only) {
    ASSIGN_OR_RETURN_AS(overlay_, OpenOverlay(setup_), "the overlay");
  }
  ASSIGN_OR_RETURN(stats_, MakeStatsFile(setup_));
  ASSIGN_OR_RETURN(slots_, MakeSlots(setup_.thread_count));
  ASSIGN_OR_RETURN(LocalCacheProcess cache, LocalCacheProcess::Start(setup_));
  cache_.emplace(std::move(cache));
  ASSIGN_OR_RETURN(FuseMount mount,
                   FuseMount::Make(setup_.device_dir + "/fuse"));
  mount_.emplace(std::move(mount));
  RETURN_IF_ERROR(StartChild());
  return WaitForChild();
}

Status Guard::StartChild() {
  ASSIGN_OR_RETURN(auto sockets, MakeSocketPair());
  const Fd client = cache_->TakeClient();
  SpawnOptions options{.argv = {"/proc/self/exe", "--child"},
                       .env = {},
                       .fds = {{kAgentSetupFd, kChildSetupFd},
                               {kAgentDataKeyFd, kChildDataKeyFd},
                               {kAgentManifestFd, kChildManifestFd},
                               {mount_->fd(), kChildFuseFd},
                               {slots_.get(), kChildSlotsFd},
                               {stats_.get(), kChildStatsFd},
                               {client.get(), kChildCacheFd},
                               {sockets.second.get(), kChildGuardFd}},
                       .die_with_parent = true};
  if (overlay_) {
    options.fds.emplace_back(overlay_->data.get(), kChildOverlayDataFd);
    options.fds.emplace_back(overlay_->map.get(), kChildOverlayMapFd);
    options.fds.emplace_back(overlay_->key.get(), kChildOverlayKeyFd);
  }
  ASSIGN_OR_RETURN_AS(child_, Spawn(options), "start the agent's child");
  child_socket_ = std::move(sockets.first);
  return Ok();
}

Status Guard::WaitForChild() {
  Bytes buffer(64 * kKiB);
  const Result<ReceivedMessage> message = ReceiveMessage(
      child_socket_.get(), buffer, SystemClock().Now() + kStartTimeout);
  if (message.ok())
    return ParseReport(AsText(ByteSpan(buffer).first(message->byte_count)));
  if (message.error().code != Code::kUnavailable) return message.error();
  const Result<int> code = WaitChild(child_);
  return MakeError(Code::kUnavailable,
                   "the agent's child died before its device was usable, "
                   "with exit code " +
                       std::to_string(code.ok() ? *code : -1));
}

int Guard::Supervise() {
  while (true) {
    std::array<pollfd, 3> polled = {
        pollfd{child_.pidfd.get(), POLLIN, 0},
        pollfd{signals_.get(), POLLIN, 0},
        pollfd{cache_given_up_ ? -1 : cache_->pidfd(), POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno == EINTR) continue;
      LogError("poll failed", {{"errno", errno}});
      return 1;
    }
    if (polled[0].revents != 0) return AttendChildsEnd();
    if (polled[1].revents != 0 && !AttendSignal()) return 0;
    if (polled[2].revents != 0) AttendCache();
  }
}

bool Guard::AttendSignal() {
  signalfd_siginfo info;
  if (::read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return true;
  if (info.ssi_signo == SIGHUP) return true;  // a terminal went; nothing to do
  const Status unmounted = mount_->Unmount();
  if (unmounted.ok()) return false;
  LogWarn("not ended: the device is in use",
          {{"signal", info.ssi_signo}, {"cause", unmounted.error().message}});
  return true;
}

// Hits go on without it; the child gets the next one.
void Guard::AttendCache() {
  Status again = cache_->Restart();
  if (again.ok()) {
    const Fd client = cache_->TakeClient();
    const std::array<int, 1> fds = {client.get()};
    const std::array<std::byte, 1> packet = {std::byte{1}};
    again = SendMessage(child_socket_.get(), packet, fds,
                        SystemClock().Now() + kStartTimeout);
  }
  if (again.ok()) return;
  LogError("no local cache", {{"cause", again.error().message}});
  cache_given_up_ = true;
}

int Guard::AttendChildsEnd() {
  const Result<int> code = WaitChild(child_);
  cache_->Stop();
  if (code.ok() && *code == 0) {
    const Status ignored = mount_->Unmount();  // it was; this only notes it
    return 0;
  }
  // Its users get EIO now and do not wait for ever.
  mount_->Abort();
  LogError("the agent's child died; its device is gone",
           {{"image", setup_.image}, {"code", code.ok() ? *code : -1}});
  return 1;
}

// One line to the starter, who may be gone.
bool SayReady(const std::string& line) {
  const Fd ready(kAgentReadyFd);
  return WriteFull(ready.get(), AsBytes(line + "\n")).ok();
}

}  // namespace

int RunGuard() {
  Guard guard;
  const Status started = guard.Start();
  if (!started.ok()) {
    SayReady(ErrorReport(started.error()));
    return 1;
  }
  Json ready;
  ready["path"] = guard.setup().device_dir + "/fuse/disk";
  ready["pid"] = static_cast<int64_t>(::getpid());
  if (!SayReady(ready.Dump())) return 1;  // nobody would end the device
  return guard.Supervise();
}

}  // namespace morsel
