// SPDX-License-Identifier: Apache-2.0
// What an image says about how it wants to be run: the part of its OCI config
// (image-spec, config.md) that a container needs. The text is the image's and
// may be hostile.
//
// Thread safety: values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace morsel {

struct ImageConfig {
  std::vector<std::string> env;  // "NAME=value"
  std::string user;              // Rootfs::LookUpUser says in which forms
  std::string working_dir;       // absolute; empty is "/"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;

  // kInvalid names the member that is not as the specification has it.
  static Result<ImageConfig> Parse(std::string_view json_text);
};

}  // namespace morsel
