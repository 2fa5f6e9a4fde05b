// SPDX-License-Identifier: Apache-2.0
#include "frontend/local_cache_process.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <limits>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "frontend/agent_files.h"
#include "localcache/ring.h"
#include "localcache/server.h"
#include "localcache/shared_client.h"
#include "net/unix_socket.h"

namespace morsel {
namespace {

constexpr int kClientFd = 3;
constexpr int kControlFd = 4;
constexpr int kArenaFd = 5;
// How long the shared one may take to admit; again, the guard has more to do.
constexpr std::chrono::seconds kAdmissionTime(10);
constexpr std::chrono::seconds kAgainTime(1);
constexpr std::chrono::seconds kSendTimeout(10);
// How long a private one may take to end its lease; a detach waits for all of
// the agent (sandbox/device.cc), and 3 s were not enough for an S3 service on a
// busy machine.
constexpr int kEndMilliseconds = 8000;

}  // namespace

Result<LocalCacheProcess> LocalCacheProcess::Start(const AgentSetup& setup) {
  LocalCacheProcess process(setup);
  process.attached_ = SystemClock().Now();
  if (process.is_shared()) {
    RETURN_IF_ERROR(process.Connect(true));
    return process;
  }
  ASSIGN_OR_RETURN(process.arena_, MakeArenaFile());
  RETURN_IF_ERROR_AS(process.Spawn(), "start the local cache");
  return process;
}

LocalCacheProcess LocalCacheProcess::WithArena(const AgentSetup& setup,
                                               Fd arena) {
  LocalCacheProcess process(setup);
  process.arena_ = std::move(arena);
  return process;
}

Status LocalCacheProcess::Spawn() {
  ASSIGN_OR_RETURN(auto client, MakeSocketPair());
  ASSIGN_OR_RETURN(auto control, MakeSocketPair());
  ASSIGN_OR_RETURN(const std::string program,
                   FindOwnProgram("morsel-localcache"));
  const uint32_t uid = ::geteuid() == 0 ? setup_.cache_uid : 0;
  ASSIGN_OR_RETURN(
      process_,
      morsel::Spawn({.argv = {program,
                              "--origin",
                              setup_.origin,
                              "--memory-bytes",
                              std::to_string(setup_.cache_memory_bytes),
                              "--origin-requests",
                              std::to_string(setup_.cache_origin_requests),
                              "--manifest",
                              setup_.manifest_id,
                              "--root",
                              setup_.root,
                              "--worker",
                              setup_.worker,
                              "--uid",
                              std::to_string(uid),
                              "--client-fd",
                              std::to_string(kClientFd),
                              "--control-fd",
                              std::to_string(kControlFd),
                              "--arena-fd",
                              std::to_string(kArenaFd)},
                     .env = {},
                     .fds = {{client.second.get(), kClientFd},
                             {control.second.get(), kControlFd},
                             {arena_.get(), kArenaFd}}}));
  client_ = std::move(client.first);
  control_ = std::move(control.first);
  started_ = SystemClock().Now();
  return Ok();
}

// A device that is attached already is never refused.
Status LocalCacheProcess::Connect(bool is_starting) {
  const auto now = SystemClock().Now();
  const auto age =
      std::chrono::duration_cast<std::chrono::milliseconds>(now - attached_);
  AdmitMessage message;
  message.starting = is_starting;
  message.age_ms = static_cast<uint32_t>(
      std::min<int64_t>(age.count(), std::numeric_limits<int32_t>::max()));
  message.device = std::filesystem::path(setup_.device_dir).filename().string();
  message.manifest_id = setup_.manifest_id;
  message.root = setup_.root;
  ASSIGN_OR_RETURN(
      AdmittedConnection connection,
      AskForAdmission(setup_.cache_socket, message,
                      now + (is_starting ? kAdmissionTime : kAgainTime)));
  client_ = std::move(connection.socket);
  process_ = {connection.daemon, std::move(connection.pidfd)};
  if (connection.arena) arena_ = std::move(connection.arena);
  return Ok();
}

Result<Fd> LocalCacheProcess::NewClient() {
  if (!client_ && is_shared()) RETURN_IF_ERROR(Connect(false));
  if (client_) return std::move(client_);
  ASSIGN_OR_RETURN(auto ends, MakeSocketPair());
  RETURN_IF_ERROR(SendNewClient(control_.get(), ends.second));
  return std::move(ends.first);
}

Status LocalCacheProcess::SendClient(const Fd& socket) {
  ASSIGN_OR_RETURN(const Fd client, NewClient());
  const std::array<int, 1> fds = {client.get()};
  const std::array<std::byte, 1> packet = {std::byte{1}};
  return SendMessage(socket.get(), packet, fds,
                     SystemClock().Now() + kSendTimeout);
}

Status LocalCacheProcess::GiveArena(const Fd& socket) const {
  if (!arena_) return MakeError(Code::kUnavailable, "no arena is known");
  // The guard may write to a private one; no child may.
  Fd read_only;
  if (!is_shared()) {
    ASSIGN_OR_RETURN(
        read_only,
        OpenFile("/proc/self/fd/" + std::to_string(arena_.get()), O_RDONLY));
  }
  ASSIGN_OR_RETURN(const HitRingDrain ring, HitRingDrain::Make());
  const std::array<int, 2> fds = {read_only ? read_only.get() : arena_.get(),
                                  ring.file().get()};
  const std::array<std::byte, 1> packet = {std::byte{2}};
  return SendMessage(socket.get(), packet, fds,
                     SystemClock().Now() + kSendTimeout);
}

Status LocalCacheProcess::GiveClient(const Fd& socket) {
  RETURN_IF_ERROR(SendClient(socket));
  ++given_;
  return Ok();
}

Status LocalCacheProcess::LendClient(const Fd& socket) {
  if (is_shared())
    return MakeError(Code::kInvalid,
                     "the local cache of this device is the "
                     "shared one, at " +
                         setup_.cache_socket);
  RETURN_IF_ERROR(CheckRuns());
  return SendClient(socket);
}

Status LocalCacheProcess::CheckRuns() const {
  pollfd ended{process_.pidfd.get(), POLLIN, 0};
  if (process_.pid > 0 && ::poll(&ended, 1, 0) == 0) return Ok();
  return MakeError(
      Code::kUnavailable,
      is_shared() ? "the shared local cache does not run: start "
                    "morsel-localcache first, the device has to go on with it"
                  : "the local cache is being started again; try again");
}

bool LocalCacheProcess::MustReplace(uint64_t received) {
  // A twin does not know what was given before.
  given_ = std::max(given_, received);
  return received == given_ && CheckRuns().ok();
}

void LocalCacheProcess::Adopt(Child process, Fd control) {
  process_ = std::move(process);
  control_ = std::move(control);
  client_.Close();
  quick_deaths_ = 0;
}

Status LocalCacheProcess::Restart() {
  if (is_shared()) {
    if (process_.pid > 0)
      LogWarn("the shared local cache has ended: hits go on, misses wait",
              {{"socket", setup_.cache_socket}});
    process_ = {};
    client_.Close();
    return Connect(false);
  }
  if (process_.pid > 0) {
    const Result<int> code = WaitChild(process_);
    const bool quick = SystemClock().Now() - started_ < kQuickDeath;
    quick_deaths_ = quick ? quick_deaths_ + 1 : 0;
    LogError("the local cache died",
             {{"code", code.ok() ? *code : -1}, {"in_a_row", quick_deaths_}});
    process_ = {};
  }
  if (quick_deaths_ >= kMaxQuickDeaths) {
    quick_deaths_ = kMaxQuickDeaths - 1;  // one more chance, each time
    return MakeError(Code::kUnavailable,
                     "the local cache dies again and again; what is not in "
                     "memory waits");
  }
  return Spawn();
}

void LocalCacheProcess::Stop(bool ends_lease) {
  if (process_.pid < 0 || is_shared()) return;
  pollfd ended{process_.pidfd.get(), POLLIN, 0};
  if (ends_lease && ::kill(process_.pid, SIGTERM) == 0 &&
      ::poll(&ended, 1, kEndMilliseconds) <= 0)
    LogWarn("the local cache does not end: its lease ends by itself", {});
  KillAndWait(process_);
  process_ = {};
}

}  // namespace morsel
