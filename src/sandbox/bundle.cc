// SPDX-License-Identifier: Apache-2.0
#include "sandbox/bundle.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/fd.h"
#include "sandbox/container_folder.h"
#include "sandbox/runtime_spec.h"
#include "sandbox/seccomp_profile.h"

namespace morsel {
namespace {

constexpr std::string_view kDefaultPath =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// cpu.cfs_period_us: the kernel's default.
constexpr int64_t kCpuPeriodUs = 100000;
constexpr size_t kShortIdLength = 12;
constexpr uint64_t kMaxEtcFileBytes = kMiB;

// Sets a variable, in its old place if it is there already.
void SetVariable(const std::string& assignment, std::vector<std::string>& env) {
  const std::string name = assignment.substr(0, assignment.find('=') + 1);
  const auto it = std::find_if(
      env.begin(), env.end(),
      [&](const std::string& entry) { return entry.starts_with(name); });
  if (it == env.end())
    env.push_back(assignment);
  else
    *it = assignment;
}

std::vector<std::string> MergeEnv(const ImageConfig& image,
                                  const RunOptions& options,
                                  const ProcessPlan& plan) {
  std::vector<std::string> env = {"PATH=" + std::string(kDefaultPath),
                                  "HOSTNAME=" + plan.hostname,
                                  "HOME=" + plan.user.home};
  if (options.terminal) env.push_back("TERM=xterm");
  for (const std::string& entry : image.env)
    if (entry.find('=') != std::string::npos) SetVariable(entry, env);
  for (const std::string& entry : options.env) {
    if (entry.find('=') != std::string::npos) {
      SetVariable(entry, env);
    } else if (const char* value = std::getenv(entry.c_str())) {
      SetVariable(entry + "=" + value, env);
    }
  }
  return env;
}

std::vector<std::string> MergeArgv(const ImageConfig& image,
                                   const RunOptions& options) {
  std::vector<std::string> argv = image.entrypoint;
  if (options.entrypoint) {
    argv.clear();
    if (!options.entrypoint->empty()) argv.push_back(*options.entrypoint);
  }
  const bool use_cmd = options.args.empty() && !options.entrypoint;
  const std::vector<std::string>& rest = use_cmd ? image.cmd : options.args;
  argv.insert(argv.end(), rest.begin(), rest.end());
  return argv;
}

std::string HostName() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

Json SpecProcess(const ProcessPlan& plan, const RunOptions& options,
                 const std::vector<std::string>& capabilities) {
  Json process;
  process["terminal"] = options.terminal;
  process["args"] = plan.argv;
  process["env"] = plan.env;
  process["cwd"] = plan.working_dir;
  process["user"]["uid"] = plan.user.uid;
  process["user"]["gid"] = plan.user.gid;
  if (!plan.user.additional_gids.empty()) {
    Json& gids = process["user"]["additionalGids"];
    for (const uint32_t gid : plan.user.additional_gids) gids.Append(gid);
  }
  // Nothing inheritable or ambient: a program of another user than root gets
  // its rights from file capabilities and set-uid bits alone.
  process["capabilities"]["bounding"] = capabilities;
  process["capabilities"]["effective"] = capabilities;
  process["capabilities"]["permitted"] = capabilities;
  process["noNewPrivileges"] = false;
  return process;
}

Json SpecResources(const RunOptions& options) {
  Json resources;
  Json deny_all;
  deny_all["allow"] = false;
  deny_all["access"] = "rwm";
  resources["devices"].Append(std::move(deny_all));
  if (options.memory_bytes > 0)
    resources["memory"]["limit"] = options.memory_bytes;
  if (options.cpus > 0) {
    const double quota = options.cpus * static_cast<double>(kCpuPeriodUs);
    resources["cpu"]["quota"] = static_cast<int64_t>(std::llround(quota));
    resources["cpu"]["period"] = kCpuPeriodUs;
  }
  if (options.pids_limit > 0) resources["pids"]["limit"] = options.pids_limit;
  return resources;
}

Json SpecLinux(const BundleRequest& request, const RunOptions& options,
               const std::vector<std::string>& capabilities) {
  Json linux_part;
  for (const char* type : {"pid", "ipc", "uts", "mount", "cgroup", "network"}) {
    if (std::string_view(type) == "network" &&
        options.network == Network::kHost)
      continue;
    Json name_space;
    name_space["type"] = type;
    linux_part["namespaces"].Append(std::move(name_space));
  }
  linux_part["cgroupsPath"] = CgroupPath(request.container_id);
  linux_part["resources"] = SpecResources(options);
  linux_part["maskedPaths"] = MaskedPaths();
  linux_part["readonlyPaths"] = ReadonlyPaths();
  linux_part["seccomp"] = SeccompProfile(capabilities);
  return linux_part;
}

// The host's /etc/<name>; "" if it has none.
std::string HostFile(const std::string& name) {
  const Result<Bytes> bytes = ReadWholeFile("/etc/" + name, kMaxEtcFileBytes);
  return bytes.ok() ? std::string(AsText(*bytes)) : "";
}

struct EtcFile {
  std::string name;
  std::string text;
};

std::vector<EtcFile> EtcFiles(const ProcessPlan& plan,
                              const RunOptions& options) {
  const EtcFile hostname{"hostname", plan.hostname + "\n"};
  if (options.network == Network::kHost)
    return {hostname,
            {"hosts", HostFile("hosts")},
            {"resolv.conf", HostFile("resolv.conf")}};
  return {hostname,
          {"hosts", "127.0.0.1\tlocalhost " + plan.hostname +
                        "\n::1\tlocalhost ip6-localhost ip6-loopback\n"},
          {"resolv.conf", "# This container has no network.\n"}};
}

// Copies, so that what a container writes into them stays in the container.
Status AppendEtcBinds(const BundleRequest& request, const Rootfs& rootfs,
                      const ProcessPlan& plan, const RunOptions& options,
                      Json& mounts) {
  const std::string dir = request.bundle_dir + "/etc";
  RETURN_IF_ERROR(MakeDirectories(dir, 0755));
  for (const EtcFile& file : EtcFiles(plan, options)) {
    const std::string inside = "/etc/" + file.name;
    const bool covered = std::any_of(
        options.binds.begin(), options.binds.end(),
        [&](const BindMount& bind) { return bind.container_path == inside; });
    // Nothing can be bound over a file that is missing and cannot be made.
    if (covered || (request.read_only_device && !rootfs.Exists(inside)))
      continue;
    const std::string path = dir + "/" + file.name;
    RETURN_IF_ERROR(WriteFileAtomically(path, AsBytes(file.text), 0644,
                                        Durability::kUntilReboot));
    mounts.Append(SpecBind(inside, path, options.read_only));
  }
  return Ok();
}

Status AppendUserBinds(const RunOptions& options, Json& mounts) {
  for (const BindMount& bind : options.binds) {
    if (::access(bind.host_path.c_str(), F_OK) != 0)
      return MakeError(Code::kNotFound, "-v: the host has no " +
                                            bind.host_path + "; make it first");
    mounts.Append(
        SpecBind(bind.container_path, bind.host_path, bind.read_only));
  }
  return Ok();
}

}  // namespace

std::string ProcessPlan::SearchPath() const {
  for (const std::string& entry : env)
    if (entry.starts_with("PATH=")) return entry.substr(5);
  return std::string(kDefaultPath);
}

Result<ProcessPlan> PlanProcess(const Rootfs& rootfs, const ImageConfig& image,
                                const RunOptions& options,
                                const std::string& container_id) {
  ProcessPlan plan;
  plan.argv = MergeArgv(image, options);
  if (plan.argv.empty())
    return MakeError(Code::kInvalid,
                     "the image names no command; give one after --");
  plan.working_dir =
      options.working_dir.empty() ? image.working_dir : options.working_dir;
  if (plan.working_dir.empty()) plan.working_dir = "/";
  if (plan.working_dir[0] != '/')
    return MakeError(Code::kInvalid,
                     "-w " + plan.working_dir + ": the path must be absolute");
  ASSIGN_OR_RETURN(
      plan.user,
      rootfs.LookUpUser(options.user.empty() ? image.user : options.user));
  plan.hostname = options.hostname;
  if (plan.hostname.empty())
    plan.hostname = options.network == Network::kHost
                        ? HostName()
                        : container_id.substr(0, kShortIdLength);
  plan.env = MergeEnv(image, options, plan);
  return plan;
}

Status WriteBundle(const BundleRequest& request, const Rootfs& rootfs,
                   const ProcessPlan& plan, const RunOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> capabilities,
                   EffectiveCapabilities(options.add_capabilities,
                                         options.drop_capabilities));
  if (!request.read_only_device)
    RETURN_IF_ERROR(rootfs.MakeDirectory(plan.working_dir));
  Json spec;
  spec["ociVersion"] = "1.0.2";
  spec["process"] = SpecProcess(plan, options, capabilities);
  spec["root"]["path"] = request.rootfs_dir;
  spec["root"]["readonly"] = options.read_only || request.read_only_device;
  spec["hostname"] = plan.hostname;
  Json mounts = DefaultMounts();
  RETURN_IF_ERROR(AppendEtcBinds(request, rootfs, plan, options, mounts));
  RETURN_IF_ERROR(AppendUserBinds(options, mounts));
  spec["mounts"] = std::move(mounts);
  spec["linux"] = SpecLinux(request, options, capabilities);
  return WriteFileAtomically(request.bundle_dir + "/config.json",
                             AsBytes(spec.Dump(2) + "\n"), 0600,
                             Durability::kUntilReboot);
}

}  // namespace morsel
