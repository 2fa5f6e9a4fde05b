// SPDX-License-Identifier: Apache-2.0
#include "frontend/agent_note.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"

namespace morsel {
namespace {

Json MarkOf(pid_t pid) {
  const Result<uint64_t> ticks = ProcessStartTicks(pid);
  Json mark;
  mark["pid"] = ticks.ok() ? int64_t{pid} : 0;
  mark["start_ticks"] = ticks.ok() ? *ticks : 0;
  return mark;
}

}  // namespace

Status AgentNote::Write(const std::string& device_dir) const {
  Json note;
  note["guard"] = MarkOf(guard);
  note["twin"] = MarkOf(twin);
  note["child"] = MarkOf(child);
  note["cache"] = MarkOf(cache);
  note["deaths"] = deaths;
  const std::string path = device_dir + "/agent.json";
  const std::string fresh = path + ".new";
  ASSIGN_OR_RETURN(const Fd file,
                   OpenFile(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600));
  RETURN_IF_ERROR(WriteFull(file.get(), AsBytes(note.Dump(2) + "\n")));
  if (std::rename(fresh.c_str(), path.c_str()) != 0)
    return ErrnoError(errno, "replace " + path);
  return Ok();
}

}  // namespace morsel
