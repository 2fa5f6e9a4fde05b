// SPDX-License-Identifier: Apache-2.0
// The parts of a config.json (OCI runtime-spec 1.0.2) that are the same for
// every container, after docker's defaults.
//
// Thread safety: functions without state.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace morsel {

// One entry of `mounts`.
Json SpecMount(std::string_view destination, std::string_view type,
               std::string_view source,
               const std::vector<std::string>& options);
// A bind of `source`, which cannot be made writable again if `read_only`.
Json SpecBind(std::string_view destination, std::string_view source,
              bool read_only);

// /proc, /dev and what lies in it, /sys and the cgroups.
Json DefaultMounts();
// What of /proc and /sys a container does not see, and may not write.
Json MaskedPaths();
Json ReadonlyPaths();

}  // namespace morsel
