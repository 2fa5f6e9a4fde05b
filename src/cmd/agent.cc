// SPDX-License-Identifier: Apache-2.0
// morsel-agent: serves one image as a block device file. Started by the tool
// with the descriptors of block/agent_setup.h; it starts itself again with
// --child for the part that holds keys.
#include <cstdio>
#include <string_view>

#include "base/confine.h"
#include "base/log.h"
#include "frontend/child.h"
#include "frontend/guard.h"

int main(int argc, char** argv) {
  const bool is_child = argc == 2 && std::string_view(argv[1]) == "--child";
  if (argc > 1 && !is_child) {
    std::fputs("morsel-agent is started by 'morsel attach' and 'morsel run'\n",
               stderr);
    return 2;
  }
  morsel::InitLog(is_child ? "morsel-agent-child" : "morsel-agent",
                  morsel::LogLevel::kInfo);
  // Before the keys are read. The child's own confinement does it once more.
  const morsel::Status no_core = morsel::RefuseCoreFiles();
  if (!no_core.ok()) morsel::LogWarn(no_core.error().message);
  return is_child ? morsel::RunChild() : morsel::RunGuard();
}
