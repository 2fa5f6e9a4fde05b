// SPDX-License-Identifier: Apache-2.0
// RUN_DIR/containers/<id>/: one container of `morsel run`, from its start to
// its end, and the calls to runc about it.
//
//   container.json  {"id", "device", "runner": {"pid", "start_ticks"}}
//   config.json, etc/, rootfs/, runc.log
//
// Thread safety: a value.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "base/result.h"
#include "sandbox/device_folder.h"

namespace morsel {

// A container's place below each hierarchy of control groups.
std::string CgroupPath(const std::string& container_id);

class ContainerFolder {
 public:
  ContainerFolder(const Config& config, std::string id);

  static Result<std::vector<ContainerFolder>> List(const Config& config);
  // Makes the folder of a container that this process runs on `device_id`.
  static Result<ContainerFolder> Make(const Config& config,
                                      const std::string& device_id);

  const std::string& id() const { return id_; }
  const std::string& path() const { return path_; }
  std::string rootfs_dir() const { return path_ + "/rootfs"; }
  std::string runc_log() const { return path_ + "/runc.log"; }
  // True while the `morsel run` that made it runs.
  bool IsRunnerAlive() const;
  // True if nobody runs it any more.
  bool IsLeftover() const;

  // "runc", "--root", ..., before the verb.
  std::vector<std::string> RuncCommand() const;
  // SIGKILL to the container's first process. kIo: runc failed, as it does
  // where there is none; nothing of that is in runc_log().
  Status Kill() const;
  // Kills what is left of the container and makes runc forget it, also if runc
  // was killed before it had noted it; Ok if there is nothing. kIo with runc's
  // message.
  Status DeleteFromRunc() const;
  Status Remove() const;

 private:
  std::string id_;
  std::string path_;
  std::string runc_root_;
};

}  // namespace morsel
