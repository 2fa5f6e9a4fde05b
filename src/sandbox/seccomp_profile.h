// SPDX-License-Identifier: Apache-2.0
// The seccomp profile of a container: docker's default, as data.
//
// Everything that is not listed fails with EPERM. Calls that only a privileged
// program has a use for are allowed together with the capability that they
// need anyway, so that `--cap-add` does what its name says. The table is
// compiled in, so that a container has the same rights on every machine; a
// test holds it against the list that Debian ships for podman.
//
// Thread safety: functions without state.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace morsel {

// `linux.seccomp` of the OCI runtime specification for a container that has
// `capabilities` ("CAP_KILL", ...).
Json SeccompProfile(const std::vector<std::string>& capabilities);

}  // namespace morsel
