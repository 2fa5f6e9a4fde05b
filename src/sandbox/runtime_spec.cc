// SPDX-License-Identifier: Apache-2.0
#include "sandbox/runtime_spec.h"

namespace morsel {

Json SpecMount(std::string_view destination, std::string_view type,
               std::string_view source,
               const std::vector<std::string>& options) {
  Json mount;
  mount["destination"] = destination;
  mount["type"] = type;
  mount["source"] = source;
  mount["options"] = options;
  return mount;
}

Json SpecBind(std::string_view destination, std::string_view source,
              bool read_only) {
  return SpecMount(destination, "bind", source,
                   {"rbind", "rprivate", read_only ? "ro" : "rw"});
}

Json DefaultMounts() {
  Json mounts;
  mounts.Append(
      SpecMount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}));
  mounts.Append(
      SpecMount("/dev", "tmpfs", "tmpfs",
                {"nosuid", "strictatime", "mode=755", "size=65536k"}));
  mounts.Append(SpecMount("/dev/pts", "devpts", "devpts",
                          {"nosuid", "noexec", "newinstance", "ptmxmode=0666",
                           "mode=0620", "gid=5"}));
  mounts.Append(
      SpecMount("/dev/shm", "tmpfs", "shm",
                {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}));
  mounts.Append(SpecMount("/dev/mqueue", "mqueue", "mqueue",
                          {"nosuid", "noexec", "nodev"}));
  mounts.Append(
      SpecMount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}));
  mounts.Append(SpecMount("/sys/fs/cgroup", "cgroup", "cgroup",
                          {"nosuid", "noexec", "nodev", "relatime", "ro"}));
  return mounts;
}

Json MaskedPaths() {
  return Json(std::vector<std::string>{
      "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore",
      "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
      "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
      "/sys/firmware"});
}

Json ReadonlyPaths() {
  return Json(std::vector<std::string>{"/proc/bus", "/proc/fs", "/proc/irq",
                                       "/proc/sys", "/proc/sysrq-trigger"});
}

}  // namespace morsel
