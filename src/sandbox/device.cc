// SPDX-License-Identifier: Apache-2.0
#include "sandbox/device.h"

#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "sandbox/agent_process.h"
#include "sandbox/device_folder.h"
#include "sandbox/loop.h"
#include "sandbox/mount.h"
#include "sandbox/named_overlay.h"

namespace morsel {
namespace {

// After the unmount an agent only has its overlay to close.
constexpr double kEndWaitSeconds = 10;
// The kernel lets a loop device go a moment after its last user: EBUSY with
// no user to be seen is tried again for two seconds.
constexpr int kBusyAttempts = 40;
constexpr int kBusyPauseMs = 50;
// What an agent logs of a read or write that failed (frontend/error_log.cc).
constexpr std::string_view kCallFailed = " device call failed ";

// The startup profile as far as its chunks have `limit` bytes together.
std::vector<uint32_t> WithinBytes(const ResolvedImage& image, uint64_t limit) {
  std::vector<uint32_t> chunks = image.record.startup_chunks;
  uint64_t sum = 0;
  const auto is_over = [&](uint32_t index) {
    const std::optional<size_t> position = image.manifest.FindChunk(index);
    if (position) sum += image.manifest.ChunkAt(*position).stored_length;
    return sum > limit;
  };
  chunks.erase(std::find_if(chunks.begin(), chunks.end(), is_over),
               chunks.end());
  return chunks;
}

Result<AgentSetup> MakeSetup(const Config& config, const ImageName& name,
                             const ResolvedImage& image,
                             const DeviceFolder& folder,
                             const AttachOptions& options) {
  AgentSetup setup;
  setup.device_dir = folder.path();
  setup.image = name.ToString();
  setup.manifest_id = image.manifest.id();
  setup.root = image.record.root;
  setup.read_only = options.read_only;
  setup.scratch_dir = config.StateDir() + "/scratch";
  setup.overlay_max_bytes = config.SizeBytes("overlay.max_bytes");
  setup.origin = config.Origin();
  // Each private cache holds a lease of its own; a shared one knows its name.
  setup.worker = folder.id() + "." + config.WorkerName();
  setup.cache_socket = config.Text("local_cache.socket");
  setup.cache_memory_bytes = config.SizeBytes("local_cache.memory_bytes");
  setup.cache_origin_requests =
      static_cast<uint32_t>(config.Integer("local_cache.origin_requests"));
  setup.startup_chunks =
      WithinBytes(image, config.SizeBytes("agent.prefetch_bytes"));
  setup.cache_uid = static_cast<uint32_t>(config.Integer("local_cache.uid"));
  setup.child_uid = static_cast<uint32_t>(config.Integer("agent.uid"));
  setup.thread_count = static_cast<uint32_t>(config.Integer("agent.threads"));
  setup.io_timeout_seconds = config.Seconds("io_timeout");
  RETURN_IF_ERROR(MakeDirectories(config.StateDir(), 0755));
  RETURN_IF_ERROR(MakeDirectories(setup.scratch_dir, 0700));
  return setup;
}

// device.json; `owner` is who needs the device, or nobody.
Json NoteOf(const AttachedDevice& device, const ProcessMark& owner,
            bool starting) {
  Json note = device.ToJson();
  note["agent"] = ProcessMark{.pid = device.agent_pid,
                              .start_ticks = device.agent_start_ticks}
                      .ToJson();
  note["owner"] = owner.ToJson();
  note["starting"] = starting;
  return note;
}

// Undoes a start that failed: nothing is left of it.
void Abandon(const DeviceFolder& folder, const ProcessMark& agent) {
  KillAgent(folder, agent);
  ::umount2(folder.fuse_dir().c_str(),
            MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW);
  const Status ignored = folder.Remove();
  static_cast<void>(ignored);
}

// Starts the agent and brings device.json to its final form; `agent` is who
// must go if that fails.
Status StartAndNote(const AgentStart& start, const AttachOptions& options,
                    AttachedDevice& device, ProcessMark& agent) {
  const ProcessMark self = ProcessMark::OfSelf();
  RETURN_IF_ERROR(
      start.folder.Write("device.json", NoteOf(device, self, true)));
  ASSIGN_OR_RETURN(const StartingAgent starting, StartAgent(start));
  agent.pid = starting.process.pid;
  if (const auto ticks = ProcessStartTicks(starting.process.pid); ticks.ok())
    agent.start_ticks = *ticks;
  device.agent_pid = agent.pid;
  device.agent_start_ticks = agent.start_ticks;
  // Again with the agent, so that a doctor can end it if we are killed now.
  RETURN_IF_ERROR(
      start.folder.Write("device.json", NoteOf(device, self, true)));
  ASSIGN_OR_RETURN(device.agent_pid, AwaitReady(starting, start.folder,
                                                options.ready_timeout_seconds));
  ASSIGN_OR_RETURN(device.agent_start_ticks,
                   ProcessStartTicks(static_cast<pid_t>(device.agent_pid)));
  device.alive = true;
  const ProcessMark owner = options.until_exit ? self : ProcessMark{};
  return start.folder.Write("device.json", NoteOf(device, owner, false));
}

AttachedDevice FromNote(const DeviceFolder& folder, const Json& note) {
  const ProcessMark guard = CurrentGuard(folder);
  return {.id = folder.id(),
          .path = folder.disk_path(),
          .image = note.StringOr("image", ""),
          .manifest_id = note.StringOr("manifest_id", ""),
          .overlay = note.StringOr("overlay", ""),
          .read_only = note.BoolOr("read_only", false),
          .overlay_is_new = note.BoolOr("overlay_is_new", false),
          .agent_pid = guard.pid,
          .agent_start_ticks = guard.start_ticks,
          .alive = folder.IsServed()};
}

// "/dev/loop3, mounted at /mnt": who keeps the device busy for a while to
// come; "" if nobody is to be seen.
std::string UsersOf(const DeviceFolder& folder) {
  const Result<std::vector<LoopInfo>> loops =
      FindLoopDevices(folder.disk_path());
  const Result<std::vector<MountInfo>> mounts = ListMounts();
  if (!loops.ok() || !mounts.ok()) return "";
  std::string users;
  for (const LoopInfo& loop : *loops)
    for (const MountInfo& mount : *mounts)
      if (mount.source == loop.path)
        users += (users.empty() ? "" : ", ") + loop.path + " mounted at " +
                 mount.dir;
  return users;
}

// Nobody is to be seen, and it is busy for good.
Error InUseUnseen(const DeviceFolder& folder) {
  const std::string what = folder.disk_path() + " is in use";
  const Result<std::vector<LoopInfo>> loops =
      FindLoopDevices(folder.disk_path());
  if (loops.ok() && !loops->empty())
    return MakeError(Code::kExists,
                     what + " by " + loops->front().path +
                         ", which is open or mounted where this process does "
                         "not see it, as by a container that was given its "
                         "folder with -v; detach it when that has ended");
  return MakeError(Code::kExists, what + "; `fuser -vm " + folder.fuse_dir() +
                                      "` shows by whom");
}

Status UnmountFuse(const DeviceFolder& folder) {
  for (int attempt = 0; attempt < kBusyAttempts; ++attempt) {
    if (::umount2(folder.fuse_dir().c_str(), UMOUNT_NOFOLLOW) == 0 ||
        errno == EINVAL || errno == ENOENT)
      return Ok();
    if (errno != EBUSY) return ErrnoError(errno, "umount " + folder.fuse_dir());
    const std::string users = UsersOf(folder);
    if (!users.empty())
      return MakeError(Code::kExists,
                       folder.disk_path() + " is in use by " + users);
    ::poll(nullptr, 0, kBusyPauseMs);
  }
  return InUseUnseen(folder);
}

// The device is unmounted: its agent ends by itself, or is made to. A kill
// loses nothing that was acknowledged.
Status EndAgent(const DeviceFolder& folder, const Json& note) {
  const ProcessMark agent = ProcessMark::FromJson(note, "agent");
  if (agent.pid <= 0) return Ok();
  const bool is_starting = note.BoolOr("starting", false);
  if (!is_starting && AwaitAgentsEnd(folder, kEndWaitSeconds)) return Ok();
  KillAgent(folder, agent);
  if (AwaitAgentsEnd(folder, 0)) return Ok();
  return MakeError(Code::kTimeout,
                   "the agent of " + folder.disk_path() + " (process group " +
                       std::to_string(agent.pid) + ") does not end; see " +
                       folder.log_path());
}

Result<DeviceFolder> FindFolder(const Config& config, const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<DeviceFolder> folders,
                   DeviceFolder::List(config));
  for (const DeviceFolder& folder : folders)
    if (path == folder.disk_path() || path == folder.id()) return folder;
  return MakeError(Code::kNotFound, "no device is attached at " + path +
                                        "; devices are " + config.RunDir() +
                                        "/devices/*/fuse/disk");
}

}  // namespace

Json AttachedDevice::ToJson() const {
  Json json;
  json["id"] = id;
  json["path"] = path;
  json["image"] = image;
  json["manifest_id"] = manifest_id;
  json["overlay"] = overlay;
  json["read_only"] = read_only;
  json["overlay_is_new"] = overlay_is_new;
  json["agent_pid"] = agent_pid;
  json["alive"] = alive;
  return json;
}

Result<AttachedDevice> AttachDevice(const Config& config, const ImageName& name,
                                    const ResolvedImage& image,
                                    const SecretKey& data_key, KeyService& keys,
                                    const AttachOptions& options) {
  if (::geteuid() != 0)
    return MakeError(Code::kDenied,
                     "FUSE devices, loop devices and mounts need root; run it "
                     "with sudo");
  std::optional<NamedOverlay> overlay;
  if (!options.overlay.empty()) {
    ASSIGN_OR_RETURN(overlay, TakeNamedOverlay(config, options.overlay,
                                               image.manifest.id(), keys));
  }
  ASSIGN_OR_RETURN(const DeviceFolder folder, DeviceFolder::Make(config));
  AttachedDevice device{.id = folder.id(),
                        .path = folder.disk_path(),
                        .image = name.ToString(),
                        .manifest_id = image.manifest.id(),
                        .overlay = options.overlay,
                        .read_only = options.read_only,
                        .overlay_is_new = overlay && overlay->is_new};
  ProcessMark agent;
  Result<AgentSetup> setup = MakeSetup(config, name, image, folder, options);
  if (!setup.ok()) {
    Abandon(folder, agent);
    return setup.error();
  }
  if (overlay) setup->overlay_dir = overlay->dir;
  const Status started = StartAndNote({.folder = folder,
                                       .setup = *setup,
                                       .data_key = data_key,
                                       .manifest = image.manifest.bytes(),
                                       .overlay = overlay ? &*overlay : nullptr,
                                       .program = options.agent_program},
                                      options, device, agent);
  if (started.ok()) return device;
  Abandon(folder, agent);
  return Error(started.error()).Wrap("attach " + name.ToString());
}

Error ExplainFailure(const Config& config, const AttachedDevice& device,
                     Error error) {
  const DeviceFolder folder(config, device.id);
  const std::string failure = folder.LastLogLine(kCallFailed);
  if (!failure.empty()) {
    const Code code = CodeOfWord(LogValue(failure, "code"));
    error.code = code == Code::kNotFound ? Code::kCorrupt : code;
    error.message += "; its agent said last: " + failure;
  } else if (!folder.IsServed()) {
    error.code = Code::kUnavailable;
    error.message += "; its agent died: " + folder.LastLogLine();
  }
  return error;
}

Status DetachDevice(const Config& config, const std::string& path) {
  ASSIGN_OR_RETURN(const DeviceFolder folder, FindFolder(config, path));
  RETURN_IF_ERROR(UnmountFuse(folder));
  const Result<Json> note = folder.Read("device.json");
  if (note.ok()) RETURN_IF_ERROR(EndAgent(folder, *note));
  return folder.Remove();
}

Result<AttachedDevice> UpgradeDevice(const Config& config,
                                     const std::string& path) {
  ASSIGN_OR_RETURN(const DeviceFolder folder, FindFolder(config, path));
  RETURN_IF_ERROR_AS(UpgradeAgent(folder, ""),
                     "upgrade the agent of " + folder.disk_path());
  ASSIGN_OR_RETURN(const Json note, folder.Read("device.json"));
  return FromNote(folder, note);
}

Result<std::vector<AttachedDevice>> ListDevices(const Config& config) {
  ASSIGN_OR_RETURN(const std::vector<DeviceFolder> folders,
                   DeviceFolder::List(config));
  std::vector<AttachedDevice> devices;
  for (const DeviceFolder& folder : folders) {
    const Result<Json> note = folder.Read("device.json");
    if (note.ok() && !note->BoolOr("starting", false))
      devices.push_back(FromNote(folder, *note));
  }
  return devices;
}

}  // namespace morsel
