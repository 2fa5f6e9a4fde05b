// SPDX-License-Identifier: Apache-2.0
// morsel-agent: serves one image as a block device file. Started by the tool
// with the descriptors of block/agent_setup.h; it starts itself again with
// --child for the part that holds keys. --resume N: it takes the place of an
// older one (frontend/guard_state.h).
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "base/confine.h"
#include "base/log.h"
#include "frontend/child.h"
#include "frontend/guard.h"

int main(int argc, char** argv) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  const bool is_child = argc == 2 && word == "--child";
  const bool is_resumed = argc == 3 && word == "--resume";
  if (argc > 1 && !is_child && !is_resumed) {
    std::fputs("morsel-agent is started by 'morsel attach' and 'morsel run'\n",
               stderr);
    return 2;
  }
  morsel::InitLog(is_child ? "morsel-agent-child" : "morsel-agent",
                  morsel::LogLevel::kInfo);
  // Before the keys are read. The child's own confinement does it once more.
  const morsel::Status no_core = morsel::RefuseCoreFiles();
  if (!no_core.ok()) morsel::LogWarn(no_core.error().message);
  if (is_child) return morsel::RunChild();
  return is_resumed ? morsel::ResumeGuard(std::atoi(argv[2]))
                    : morsel::RunGuard();
}
