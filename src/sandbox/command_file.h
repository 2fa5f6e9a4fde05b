// SPDX-License-Identifier: Apache-2.0
// Which file a container's command is, and whether the kernel could execute
// it: asked before the start, since runc, once it has begun to become the
// command, can only exit with 1.
//
// The files belong to the image and may be hostile: at most a few KiB are read
// of regular files alone, and nothing is executed.
//
// Thread safety: free functions.
#pragma once

#include <string>

#include "base/result.h"
#include "sandbox/container_view.h"

namespace morsel {

// The path in the container of the file that `command` names: searched in
// `search_path` if it has no '/', else relative to `working_dir`. kNotFound:
// there is none (127); kDenied: it is there, but is no executable file (126).
Result<std::string> FindCommand(const ContainerView& view,
                                const std::string& command,
                                const std::string& search_path,
                                const std::string& working_dir);

// What execve would say of the file at `path`. kNotFound: the interpreter of a
// script or the loader of a program is missing (127); kDenied: it, or an
// interpreter, is neither ELF nor a script, or not executable (126).
Status CheckProgram(const ContainerView& view, const std::string& path);

}  // namespace morsel
