// SPDX-License-Identifier: Apache-2.0
#include "oci/path.h"

#include "base/printable.h"

namespace morsel {
namespace {

// Takes the first component off `rest`.
std::string_view TakeComponent(std::string_view& rest) {
  const size_t slash = rest.find('/');
  const std::string_view component = rest.substr(0, slash);
  rest = slash == std::string_view::npos ? std::string_view()
                                         : rest.substr(slash + 1);
  return component;
}

}  // namespace

Result<std::string> CleanPath(std::string_view raw) {
  const bool absolute = raw.starts_with('/');
  std::string path;
  for (std::string_view rest = raw; !rest.empty();) {
    const std::string_view component = TakeComponent(rest);
    if (component.empty() || component == ".") continue;
    if (component == "..") {
      if (path.empty() && !absolute)
        return MakeError(Code::kInvalid, "the name leaves the image's root");
      path.resize(Split(path).directory.size());
      continue;
    }
    if (component.size() > kMaxNameBytes)
      return MakeError(Code::kInvalid,
                       "a component of the name is longer than 255 bytes");
    if (!path.empty()) path += '/';
    path += component;
  }
  if (path.size() > kMaxPathBytes)
    return MakeError(Code::kInvalid, "the name is longer than 4095 bytes");
  return path;
}

std::string PrintablePath(std::string_view raw) {
  constexpr size_t kShown = 200;
  return PrintableAscii(raw, kShown);
}

SplitPath Split(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {std::string_view(), path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace morsel
