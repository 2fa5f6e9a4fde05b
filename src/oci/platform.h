// SPDX-License-Identifier: Apache-2.0
// Platforms of images: "linux/amd64", "linux/arm64/v8" (OCI image index).
//
// Thread safety: values.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace morsel {

struct Platform {
  std::string os;
  std::string architecture;  // Go's words: "amd64", "arm64"
  std::string variant;       // "v8"; empty: any, or none

  // "OS/ARCHITECTURE[/VARIANT]"; "x86_64" and "aarch64" are understood too.
  // kInvalid otherwise.
  static Result<Platform> Parse(std::string_view text);
  // Linux on this machine's processor.
  static Platform OfThisMachine();

  std::string ToString() const;
  // True if an image for `offered` is what this asks for. A variant that this
  // does not name, or that is the architecture's first ("amd64/v1",
  // "arm64/v8"), may be missing there.
  bool Accepts(const Platform& offered) const;
};

}  // namespace morsel
