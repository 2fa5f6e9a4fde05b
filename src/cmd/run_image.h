// SPDX-License-Identifier: Apache-2.0
// What `morsel run` and `morsel record` share: an image is found, attached and
// run, by the options that both take.
//
// Thread safety: as Tool.
#pragma once

#include <string>

#include "base/result.h"
#include "cmd/tool.h"
#include "cmd/verb.h"
#include "sandbox/run.h"
#include "sandbox/run_options.h"

namespace morsel {

// kInvalid: the option and what it may be.
Result<RunOptions> ReadRunOptions(const Arguments& arguments);

struct FinishedRun {
  UnlockedImage image;
  RunReport report;
};
// Finds the image (a SOURCE is converted first), attaches it, runs the command,
// cleans up, and writes --stats-file. What went wrong with the run is in the
// report, and the caller's to say; errors are of what comes before it. `verb`
// is who runs it.
Result<FinishedRun> RunImage(Tool& tool, const Arguments& arguments,
                             const RunOptions& options,
                             const std::string& verb);

// Says what went wrong with the device and while cleaning up, if anything did.
void PrintFaults(const RunReport& report, const std::string& verb);

}  // namespace morsel
