// SPDX-License-Identifier: Apache-2.0
// The folder of an attached device, RUN_DIR/devices/<id>/ (device.h lists what
// lies in it), and the small JSON notes in it.
//
//   device.json  what it is and who started it
//   agent.json   who serves it at present (frontend/agent_note.h)
//   mount.json   where `morsel mount` has mounted it: {"dir", "loop"}
//
// Notes are written whole or not at all. Thread safety: a value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/json.h"
#include "base/result.h"

namespace morsel {

class DeviceFolder {
 public:
  DeviceFolder(const Config& config, std::string id);

  // Every folder there is, by id. An empty list if RUN_DIR does not exist.
  static Result<std::vector<DeviceFolder>> List(const Config& config);
  // Makes a folder with a new random id, and RUN_DIR if need be.
  static Result<DeviceFolder> Make(const Config& config);

  const std::string& id() const { return id_; }
  const std::string& path() const { return path_; }
  std::string fuse_dir() const { return path_ + "/fuse"; }
  std::string disk_path() const { return path_ + "/fuse/disk"; }
  std::string log_path() const { return path_ + "/agent.log"; }
  std::string life_path() const { return path_ + "/life"; }

  Status Write(const std::string& name, const Json& note) const;
  // kNotFound; kInvalid if it is no JSON.
  Result<Json> Read(const std::string& name) const;
  // Some process keeps the device alive: it holds the lock of `life`
  // (block/agent_setup.h). Process ids change, this does not.
  bool IsServed() const;
  // The last line of agent.log that is not empty and has this text; "" if
  // there is none.
  std::string LastLogLine(std::string_view text = "") const;
  // Removes the folder and what is in it. Never enters a mount in it: kExists
  // if fuse/ still is one.
  Status Remove() const;

 private:
  std::string id_;
  std::string path_;
};

// The value of `key` in a line of a log (base/log.h), as far as its first quote
// or space; "" if there is none. A key that a value before it might hold, too,
// may be found there.
std::string LogValue(std::string_view line, std::string_view key);

// True if `path` was made or changed over a minute ago. A folder without its
// note is being made if it is young, and was left behind if it is old.
bool IsOverAMinuteOld(const std::string& path);

// A process for good: pids return, (pid, start ticks) does not.
struct ProcessMark {
  int64_t pid = 0;
  uint64_t start_ticks = 0;

  static ProcessMark OfSelf();
  // All zero if `key` is missing: nobody.
  static ProcessMark FromJson(const Json& note, std::string_view key);
  Json ToJson() const;
  bool IsAlive() const;
};

}  // namespace morsel
