// SPDX-License-Identifier: Apache-2.0
// Starting morsel-agent and hearing that its device is usable, and ending it.
// What passes between the two is block/agent_setup.h.
//
// Thread safety: the functions may run at once.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/result.h"
#include "block/agent_setup.h"
#include "crypto/secret.h"
#include "sandbox/device_folder.h"
#include "sandbox/named_overlay.h"

namespace morsel {

// The code that an agent means by this word (CodeName); kInternal for any
// other.
Code CodeOfWord(std::string_view word);

struct AgentStart {
  const DeviceFolder& folder;
  const AgentSetup& setup;
  const SecretKey& data_key;
  ByteSpan manifest;
  const NamedOverlay* overlay = nullptr;  // null: an ephemeral one
  std::string program;  // empty: beside the running program, else in PATH
};

// A started agent that has not said yet that it is ready.
struct StartingAgent {
  Child process;
  Fd ready;  // the read end of the ready pipe
};

// kNotFound if there is no morsel-agent; kIo.
Result<StartingAgent> StartAgent(const AgentStart& start);

// Waits for the ready line: the agent's pid. kUnavailable if it died before,
// kTimeout; else what it reported.
Result<int64_t> AwaitReady(const StartingAgent& agent,
                           const DeviceFolder& folder, double timeout_seconds);

// The guard at present, which is another than at the start if that one died.
ProcessMark CurrentGuard(const DeviceFolder& folder);

// Has the agent go on as `program` (empty: the morsel-agent that StartAgent
// would take), and waits until that serves the device: {"guard", "child",
// "cache"}. kUnavailable: the new one could not, and the device goes on with
// the old one; kNotFound, kTimeout.
Result<Json> UpgradeAgent(const DeviceFolder& folder,
                          const std::string& program);

// A connection to the device's own local cache, for AskForReport. kInvalid: it
// uses the shared one. kUnavailable: cache or agent does not run. kTimeout.
Result<Fd> ConnectToPrivateCache(const DeviceFolder& folder, Deadline deadline);

// Kills an agent with all its processes and waits for their end. `first` is the
// one that was started: it leads the session and group of all of them, also
// when it lives no more.
void KillAgent(const DeviceFolder& folder, const ProcessMark& first);
// True once no process of the agent's keeps the device alive any more.
bool AwaitAgentsEnd(const DeviceFolder& folder, double timeout_seconds);

// True once the process has ended, at the latest after `timeout_seconds`.
bool AwaitEnd(const ProcessMark& process, double timeout_seconds);

}  // namespace morsel
