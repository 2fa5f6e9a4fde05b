// SPDX-License-Identifier: Apache-2.0
// Names of entries in layers: foreign, so cleaned or refused before use.
//
// Thread safety: free functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace morsel {

inline constexpr size_t kMaxNameBytes = 255;   // of one component
inline constexpr size_t kMaxPathBytes = 4095;  // of a path or symlink target

// `raw` relative to the image's root, without ".", "..", empty components and
// slashes at its ends: "./a//b/../c/" is "a/c"; the root is "". Cleaned by its
// text alone, as containerd does (Go's filepath.Clean), so "/../a" is "a".
// kInvalid if it would leave the root ("../a"), or is over the limits above.
Result<std::string> CleanPath(std::string_view raw);

// For messages: control bytes and what is not ASCII as \xNN, at most 200
// bytes of it.
std::string PrintablePath(std::string_view raw);

// "a/b/c" as "a/b" and "c"; "c" as "" and "c".
struct SplitPath {
  std::string_view directory;
  std::string_view name;
};
SplitPath Split(std::string_view path);

}  // namespace morsel
